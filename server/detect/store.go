package detect

import (
	"bytes"
	"context"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// maxRules is how many rules there may be, active or not.
const maxRules = 20_000

// rulesLock makes changes that count the rules, or look for a name, wait for each other.
const rulesLock = "rules"

// Add stores a rule of the query builder; what it leaves empty is the default. It
// comes back as it was stored. Faults: Invalid and Unprocessable for what is wrong
// with it, naming the place in the conditions; Conflict for a name that is taken.
func (s *Store) Add(ctx context.Context, r Rule) (Rule, error) {
	r.ID, r.SigmaID, r.Source, r.Shipped, r.shippedSHA256 = 0, "", "", "", ""
	if err := clean(&r); err != nil {
		return Rule{}, err
	}
	r.Created = s.o.Now()
	r.Updated = r.Created
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, rulesLock); err != nil {
			return err
		}
		if free, err := room(ctx, tx); err != nil || free <= 0 {
			return orFull(err)
		}
		return insert(ctx, tx, &r)
	})
	if err != nil {
		return Rule{}, err
	}
	s.changed()
	s.readable(&r)
	return r, nil
}

// room is how many more rules there may be.
func room(ctx context.Context, tx *database.DB) (free int64, err error) {
	var count int64
	err = tx.Read(ctx).Raw("SELECT count(*) FROM rules").Scan(&count).Error
	return maxRules - count, database.Fault(err)
}

func orFull(err error) error {
	if err == nil {
		return fault.New(fault.Unprocessable, "There are %d rules already, which is all there may be", maxRules)
	}
	return err
}

// Update lets edit change a rule, and returns it as it was and as it is. A rule that
// came as Sigma stays so as long as its conditions are those it was translated to.
// Faults: NotFound; those of edit and of Add.
func (s *Store) Update(ctx context.Context, id int64, edit func(*Rule) error) (before, after Rule, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, rulesLock); err != nil {
			return err
		}
		if before, err = readRule(ctx, tx, id); err != nil {
			return err
		}
		s.readable(&before)
		after = before
		if err := edit(&after); err != nil {
			return err
		}
		after.ID, after.Created = before.ID, before.Created
		if after.Source != "" && !sameConditions(before, after) {
			after.SigmaID, after.Source = "", ""
		}
		if err := clean(&after); err != nil {
			return err
		}
		after.Updated = later(s.o.Now(), before.Updated)
		return replace(ctx, tx, &after)
	})
	if err != nil {
		return Rule{}, Rule{}, err
	}
	s.changed()
	after.Tables, after.Platforms, after.Problem, after.Warnings = nil, nil, "", nil
	s.readable(&after)
	return before, after, nil
}

// sameConditions compares them without their white space and the order of keys.
func sameConditions(a, b Rule) bool {
	return bytes.Equal(canonical(a.Conditions), canonical(b.Conditions))
}

// later is now, or a moment after the last change where a clock stands or went
// back: replicas tell by this time that a rule changed.
func later(now, last time.Time) time.Time {
	if now.After(last) {
		return now
	}
	return last.Add(time.Microsecond)
}

// Find returns a rule. Faults: NotFound, those of the database.
func (s *Store) Find(ctx context.Context, id int64) (Rule, error) {
	r, err := readRule(ctx, s.db, id)
	if err != nil {
		return Rule{}, err
	}
	s.describe(&r)
	return r, nil
}

// Delete removes a rule with its counters and exceptions, and returns it as it was.
// One that ships with the server does not come back. Faults: NotFound, those of the
// database.
func (s *Store) Delete(ctx context.Context, id int64) (gone Rule, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		if gone, err = readRule(ctx, tx, id); err != nil {
			return err
		}
		for _, statement := range []string{"DELETE FROM rule_exceptions WHERE rule_id = ?", "DELETE FROM rules WHERE id = ?"} {
			if err := tx.Write(ctx).Exec(statement, id).Error; err != nil {
				return database.Fault(err)
			}
		}
		return nil
	})
	if err != nil {
		return Rule{}, err
	}
	s.changed()
	s.readable(&gone)
	return gone, nil
}
