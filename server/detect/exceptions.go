package detect

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/fault"
)

// Bounds of exceptions.
const (
	maxExceptions = 5_000
	maxReason     = 4 << 10
)

// Exception keeps matches of a rule, or of every rule, from alerting: those whose row
// meets its conditions, until it expires.
type Exception struct {
	ID         int64
	RuleID     int64           // 0: every rule
	Conditions json.RawMessage // of the query builder
	Reason     string
	AlertID    int64 // that it was made from, or 0
	Username   string
	Created    time.Time
	Expires    time.Time // zero: never
	Hits       int64     // matches that it suppressed
	LastHit    time.Time
}

// Expired reports whether it spares nothing any more.
func (e Exception) Expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

// exception is one in memory.
type exception struct {
	Exception
	tree    *condition.Tree
	hits    atomic.Int64
	lastHit atomic.Int64
}

// loadExceptions puts exceptions under their rules, keeping what the last snapshot
// counted.
func (s *Store) loadExceptions(stored []Exception, last *snapshot) map[int64][]*exception {
	known, byRule := map[int64]*exception{}, map[int64][]*exception{}
	for _, list := range last.exceptions {
		for _, x := range list {
			known[x.ID] = x
		}
	}
	for _, e := range stored {
		x := known[e.ID]
		if x == nil {
			tree, err := parseConditions(e.Conditions)
			if err != nil {
				s.log.Warn("an exception cannot be used", "exception_id", e.ID, "error", err)
				continue
			}
			x = &exception{Exception: e, tree: tree}
		}
		byRule[e.RuleID] = append(byRule[e.RuleID], x)
	}
	return byRule
}

// exception returns one that keeps the rule's match from alerting, or nil.
func (n *snapshot) exception(ruleID int64, row *condition.Object, now time.Time) *exception {
	for _, of := range [2]int64{ruleID, 0} {
		for _, x := range n.exceptions[of] {
			if !x.Expired(now) && x.tree.Match(row) {
				return x
			}
		}
	}
	return nil
}

// AddException stores an exception, and returns it as it was stored. Faults: Invalid
// and Unprocessable for what is wrong with it; NotFound for a rule that is not there.
func (s *Store) AddException(ctx context.Context, e Exception) (Exception, error) {
	e.Reason = strings.TrimSpace(e.Reason)
	e.Created = s.o.Now()
	switch {
	case e.Reason == "" || !fits(e.Reason, maxReason):
		return Exception{}, fault.New(fault.Invalid, "An exception needs a reason of at most %d KiB of text", maxReason>>10)
	case e.Expired(e.Created):
		return Exception{}, fault.New(fault.Unprocessable, "The exception would have expired already")
	}
	var err error
	if e.Conditions, err = compact("conditions", e.Conditions); err != nil {
		return Exception{}, err
	}
	if _, err := parseConditions(e.Conditions); err != nil {
		return Exception{}, err
	}
	err = s.db.Tx(ctx, func(tx *database.DB) error { return insertException(ctx, tx, &e) })
	if err != nil {
		return Exception{}, err
	}
	s.changed()
	return e, nil
}

func insertException(ctx context.Context, tx *database.DB, e *Exception) error {
	if err := tx.Lock(ctx, rulesLock); err != nil {
		return err
	}
	if e.RuleID != 0 {
		if _, err := readRule(ctx, tx, e.RuleID); err != nil {
			return err
		}
	}
	var count int64
	if err := tx.Read(ctx).Raw("SELECT count(*) FROM rule_exceptions").Scan(&count).Error; err != nil {
		return database.Fault(err)
	}
	if count >= maxExceptions {
		return fault.New(fault.Unprocessable, "There are %d exceptions already, which is all there may be: delete those that expired", maxExceptions)
	}
	return database.Fault(tx.Write(ctx).Raw(`
		INSERT INTO rule_exceptions (rule_id, conditions, reason, alert_id, username, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		e.RuleID, string(e.Conditions), e.Reason, e.AlertID, e.Username, database.Micros(e.Created), database.Micros(e.Expires)).Scan(&e.ID).Error)
}

// Exceptions lists those of a rule, or with 0 those of every rule, the oldest first,
// expired ones included. Faults: NotFound for a rule that is not there.
func (s *Store) Exceptions(ctx context.Context, ruleID int64) ([]Exception, error) {
	if ruleID != 0 {
		if _, err := readRule(ctx, s.db, ruleID); err != nil {
			return nil, err
		}
	}
	return readExceptions(ctx, s.db, "rule_id = ?", ruleID)
}

// DeleteException removes an exception, and returns it as it was. Faults: NotFound.
func (s *Store) DeleteException(ctx context.Context, id int64) (gone Exception, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		found, err := readExceptions(ctx, tx, "id = ?", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fault.New(fault.NotFound, "Exception with this id does not exist")
		}
		gone = found[0]
		return database.Fault(tx.Write(ctx).Exec("DELETE FROM rule_exceptions WHERE id = ?", id).Error)
	})
	if err != nil {
		return Exception{}, err
	}
	s.changed()
	return gone, nil
}

func readExceptions(ctx context.Context, db *database.DB, where string, args ...any) ([]Exception, error) {
	var rows []struct {
		ID, RuleID           int64
		Conditions, Reason   string
		AlertID              int64
		Username             string
		CreatedAt, ExpiresAt int64
		Hits, LastHitAt      int64
	}
	err := db.Read(ctx).Raw(`SELECT id, rule_id, conditions, reason, alert_id, username, created_at, expires_at, hits, last_hit_at
		FROM rule_exceptions WHERE `+where+` ORDER BY id`, args...).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	list := make([]Exception, 0, len(rows))
	for _, r := range rows {
		list = append(list, Exception{
			ID: r.ID, RuleID: r.RuleID, Conditions: json.RawMessage(r.Conditions), Reason: r.Reason, AlertID: r.AlertID, Username: r.Username,
			Created: database.FromMicros(r.CreatedAt), Expires: database.FromMicros(r.ExpiresAt), Hits: r.Hits, LastHit: database.FromMicros(r.LastHitAt),
		})
	}
	return list, nil
}

// flushExceptions adds to the stored hits.
func (s *Store) flushExceptions(ctx context.Context) error {
	now := s.current.Load()
	if now == nil {
		return nil
	}
	for _, list := range now.exceptions {
		for _, x := range list {
			if err := s.flushException(ctx, x); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) flushException(ctx context.Context, x *exception) error {
	hits := x.hits.Swap(0)
	if hits == 0 {
		return nil
	}
	err := s.db.Write(ctx).Exec("UPDATE rule_exceptions SET hits = hits + ?, last_hit_at = ? WHERE id = ?", hits, x.lastHit.Load(), x.ID).Error
	if err != nil {
		x.hits.Add(hits)
	}
	return database.Fault(err)
}
