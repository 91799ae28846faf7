package intel

import (
	"context"

	"muster/server/database"
	"muster/server/fault"
)

// Replaced says what became of a feed.
type Replaced struct{ Added, Changed, Deleted int }

// SetSelf makes the indicators those of the feed self, instead of what it held, in one
// transaction. Faults: Unprocessable for what is no indicator (see CheckNew) and for
// too many; nothing is changed then.
func (s *Store) SetSelf(ctx context.Context, all []NewIndicator) (Replaced, error) {
	if len(all) > maxSelf {
		return Replaced{}, fault.New(fault.Unprocessable, "At most %d values can be entered; import larger lists as feeds of their own", maxSelf)
	}
	list, err := items(all, false)
	if err != nil {
		return Replaced{}, err
	}
	var done Replaced
	err = s.change(ctx, Self, func(w *write) error {
		done = Replaced{}
		for from := 0; from < len(list); from += batch {
			if err := w.put(ctx, list[from:min(from+batch, len(list))]); err != nil {
				return err
			}
		}
		for after := int64(-1); after != 0; {
			next, deleted, err := w.stale(ctx, after, maxSelf)
			if err != nil {
				return err
			}
			after, done.Deleted = next, done.Deleted+deleted
		}
		if done.Added, done.Changed, err = w.counts(ctx); err != nil {
			return err
		}
		if _, err := w.stored(ctx); err != nil {
			return err
		}
		return w.retro(ctx, done.Added)
	})
	if err != nil {
		return Replaced{}, database.Fault(err)
	}
	s.changed(ctx)
	return done, nil
}

// CheckNew says what is wrong with an indicator that somebody enters. Faults:
// Unprocessable, with a sentence that names the value.
func CheckNew(n NewIndicator) error { return n.check(false) }
