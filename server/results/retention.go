package results

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const retentionSetting = "retention"

// Keep says for how many days what hosts reported is kept; 0 is for ever.
type Keep struct {
	ResultsDays, StatusDays int
	LiveDays                int // answers of live queries, which another package purges
}

// Before holds the moments before which things may go; the zero time keeps all.
type Before struct{ Results, Status, Live time.Time }

// KeepChange changes Keep; what is nil stays as it is.
type KeepChange struct{ ResultsDays, StatusDays, LiveDays *int }

// storedKeep is what was changed, as the setting retention holds it. What is
// absent follows the settings that the server was started with.
type storedKeep struct {
	ResultsDays *int `json:"results_days,omitempty"`
	StatusDays  *int `json:"status_days,omitempty"`
	LiveDays    *int `json:"live_days,omitempty"`
}

// Retention reads the setting retention; what it does not say is as in otherwise.
func (s *Store) Retention(ctx context.Context, otherwise Keep) (Keep, error) {
	var stored storedKeep
	if _, err := s.db.Setting(ctx, retentionSetting, &stored); err != nil {
		return Keep{}, err
	}
	keep := func(days *int, otherwise int) int {
		if days == nil {
			return otherwise
		}
		return *days
	}
	return Keep{
		ResultsDays: keep(stored.ResultsDays, otherwise.ResultsDays),
		StatusDays:  keep(stored.StatusDays, otherwise.StatusDays),
		LiveDays:    keep(stored.LiveDays, otherwise.LiveDays),
	}, nil
}

// SetRetention changes the setting; it counts from the next purge on. Faults:
// Invalid for a negative number of days.
func (s *Store) SetRetention(ctx context.Context, change KeepChange) error {
	return s.db.Tx(ctx, func(tx *database.DB) error {
		var stored storedKeep
		if _, err := tx.Setting(ctx, retentionSetting, &stored); err != nil {
			return err
		}
		for _, part := range []struct{ days, stored **int }{
			{&change.ResultsDays, &stored.ResultsDays}, {&change.StatusDays, &stored.StatusDays}, {&change.LiveDays, &stored.LiveDays},
		} {
			if *part.days == nil {
				continue
			}
			if **part.days < 0 {
				return fault.New(fault.Invalid, "The days to keep cannot be negative")
			}
			*part.stored = *part.days
		}
		return tx.SetSetting(ctx, retentionSetting, stored)
	})
}

// Before is what may go at now. Days that are not positive keep everything.
func (k Keep) Before(now time.Time) Before {
	ago := func(days int) time.Time {
		if days <= 0 {
			return time.Time{}
		}
		return now.AddDate(0, 0, -days)
	}
	return Before{Results: ago(k.ResultsDays), Status: ago(k.StatusDays), Live: ago(k.LiveDays)}
}
