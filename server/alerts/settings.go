// Package alerts is what will hold the alerts of rules and indicators. As yet it
// knows how long alerts that are alike are gathered into one, because the API has
// that among its platform settings.
//
// It writes one row of the table settings: alert_aggregation_seconds.
package alerts

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const (
	aggregationSetting = "alert_aggregation_seconds"

	// DefaultAggregation is what counts where nothing was set.
	DefaultAggregation = time.Minute
	// MaxAggregation bounds how long the first alert may wait for others.
	MaxAggregation = 24 * time.Hour
)

// Store keeps how alerts are handled.
type Store struct{ db *database.DB }

// New returns a store.
func New(db *database.DB) *Store { return &Store{db: db} }

// Aggregation is how long alerts that are alike are gathered into one, in whole
// seconds.
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
