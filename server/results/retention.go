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

// storedKeep is Keep as the setting retention holds it.
type storedKeep struct {
	ResultsDays int `json:"results_days"`
	StatusDays  int `json:"status_days"`
	LiveDays    int `json:"live_days"`
}

// Retention reads the setting retention; what it does not say is as in otherwise.
func Retention(ctx context.Context, db *database.DB, otherwise Keep) (Keep, error) {
	stored := storedKeep(otherwise)
	if _, err := db.Setting(ctx, retentionSetting, &stored); err != nil {
		return Keep{}, err
	}
	return Keep(stored), nil
}

// SetRetention stores the setting. Faults: Invalid for a negative number of days.
func SetRetention(ctx context.Context, db *database.DB, keep Keep) error {
	if min(keep.ResultsDays, keep.StatusDays, keep.LiveDays) < 0 {
		return fault.New(fault.Invalid, "The days to keep cannot be negative")
	}
	return db.SetSetting(ctx, retentionSetting, storedKeep(keep))
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
