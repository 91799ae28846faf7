package intel

import (
	"context"
	"strings"

	"muster/server/fault"
)

// Import says what a feed holds.
type Import struct {
	Feed       string
	Indicators []NewIndicator
	// Replace deletes what the feed held and this does not.
	Replace bool
}

// Imported says what became of an import. Of several that are the same, the last
// counts, and only it is counted.
type Imported struct {
	Replaced
	Count int // stored, whether they were there before or not
}

// Import stores a feed, some indicators at a time so that it holds nobody up for long:
// when it fails in the middle, what is stored stays, and what was to be replaced is
// still there. Those that have the same type, value, threat and feed as one that is
// there take its place. Faults: Unprocessable for a name that no feed can have, for
// what is no indicator (see CheckFeed), for nothing at all and for too many.
func (s *Store) Import(ctx context.Context, i Import) (Imported, error) {
	if err := checkFeed(i.Feed); err != nil {
		return Imported{}, err
	}
	list, err := items(i.Indicators, true)
	switch {
	case err != nil:
		return Imported{}, err
	case len(list) == 0:
		return Imported{}, fault.New(fault.Unprocessable, "There is no indicator in it")
	case len(list) > s.o.Most:
		return Imported{}, fault.New(fault.Unprocessable, "These are more than %d indicators", s.o.Most)
	}
	done := Imported{}
	err = s.importAll(ctx, i, list, &done)
	if done.Count > 0 {
		s.changed(ctx)
	}
	return done, err
}

func (s *Store) importAll(ctx context.Context, i Import, list []item, done *Imported) error {
	number, before := int64(0), -1
	for from := 0; from < len(list); from += batch {
		part := list[from:min(from+batch, len(list))]
		err := s.change(ctx, i.Feed, func(w *write) error {
			if number == 0 {
				number = w.change
			}
			w.batch = number
			if err := w.put(ctx, part); err != nil {
				return err
			}
			added, changed, err := w.counts(ctx)
			if err != nil {
				return err
			}
			if before < 0 {
				if before, err = w.stored(ctx); err != nil {
					return err
				}
			} else if before += added; before > s.o.Most {
				return tooMany(s.o.Most)
			}
			done.Added, done.Changed, done.Count = done.Added+added, done.Changed+changed, done.Count+len(part)
			return w.retro(ctx, added)
		})
		if err != nil {
			return err
		}
	}
	for after := int64(-1); i.Replace && after != 0; {
		err := s.change(ctx, i.Feed, func(w *write) error {
			w.batch = number
			next, deleted, err := w.stale(ctx, after, batch)
			after, done.Deleted = next, done.Deleted+deleted
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckFeed says what is wrong with an indicator that comes with a feed: as CheckNew,
// but a hash has to be one. Faults: Unprocessable, with a sentence that names the value.
func CheckFeed(n NewIndicator) error { return n.check(true) }

func checkFeed(name string) error {
	if name == "" || len(name) > maxFeed || strings.TrimSpace(name) != name || !plain(name) || strings.ContainsAny(name, "/,") {
		return fault.New(fault.Unprocessable, "A feed needs a name of at most %d bytes, without slashes, commas and blanks around", maxFeed)
	}
	if name == Self {
		return fault.New(fault.Unprocessable, "The feed %s is for what people enter one by one (/iocs/add)", Self)
	}
	return nil
}
