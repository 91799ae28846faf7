package alerts

import (
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestAggregation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, ctx := New(db), t.Context()
		if got, err := s.Aggregation(ctx); err != nil || got != DefaultAggregation {
			t.Errorf("at first: %v, %v", got, err)
		}
		if err := s.SetAggregation(ctx, 90*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []time.Duration{0, -time.Second, time.Millisecond, MaxAggregation + time.Second} {
			if err := s.SetAggregation(ctx, wrong); !fault.Is(err, fault.Invalid) {
				t.Errorf("%v: %v", wrong, err)
			}
		}
		if got, err := s.Aggregation(ctx); err != nil || got != 90*time.Second {
			t.Errorf("afterwards: %v, %v", got, err)
		}
	})
}
