package alerts

import (
	"context"
	"time"

	"muster/server/fault"
)

const (
	aggregationSetting = "alert_aggregation_seconds"
	daysSetting        = "alert_days"

	// DefaultAggregation is what counts where nothing was set.
	DefaultAggregation = time.Minute
	// MaxAggregation bounds how long an alert takes events.
	MaxAggregation = 24 * time.Hour

	// DefaultDays is how long resolved alerts are kept where nothing was set.
	DefaultDays = 365
	// MaxDays bounds it.
	MaxDays = 3650
)

// Aggregation is how long after it was raised an alert takes events that are
// alike, in whole seconds.
func (s *Store) Aggregation(ctx context.Context) (time.Duration, error) {
	seconds := int64(DefaultAggregation / time.Second)
	if _, err := s.db.Setting(ctx, aggregationSetting, &seconds); err != nil {
		return 0, err
	}
	return time.Duration(seconds) * time.Second, nil
}

// SetAggregation changes it. Faults: Invalid for less than a second or more than
// MaxAggregation.
func (s *Store) SetAggregation(ctx context.Context, d time.Duration) error {
	if d < time.Second || d > MaxAggregation {
		return fault.New(fault.Invalid, "The time to gather alerts is between 1 and %d seconds", MaxAggregation/time.Second)
	}
	return s.db.SetSetting(ctx, aggregationSetting, int64(d/time.Second))
}

// Days is how many days a resolved alert is kept; 0 is for ever.
func (s *Store) Days(ctx context.Context) (int, error) {
	days := DefaultDays
	_, err := s.db.Setting(ctx, daysSetting, &days)
	return days, err
}

// SetDays changes it; it counts from the next purge on. Faults: Invalid for a
// negative number or more than MaxDays.
func (s *Store) SetDays(ctx context.Context, days int) error {
	if days < 0 || days > MaxDays {
		return fault.New(fault.Invalid, "Alerts are kept between 0 (for ever) and %d days", MaxDays)
	}
	return s.db.SetSetting(ctx, daysSetting, days)
}
