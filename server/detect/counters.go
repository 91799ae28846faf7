package detect

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster/server/database"
)

// counts are what a rule did in this process since it was flushed last.
type counts struct {
	evaluated, matched, suppressed, failed, nanoseconds atomic.Int64
	lastMatch                                           atomic.Int64 // microseconds since 1970
	fell                                                atomic.Bool  // it could not be evaluated, and the log says so
}

// totals are the counts of all rules, and what this process did since it began.
type totals struct {
	mu      sync.Mutex
	byRule  map[int64]*counts
	retired []*program // that may be in use for a moment yet

	rows, matched, suppressed, failed, nanoseconds, incomplete atomic.Int64
}

// of are the counts of a rule, whatever snapshot it stands in.
func (t *totals) of(ruleID int64) *counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byRule == nil {
		t.byRule = map[int64]*counts{}
	}
	if t.byRule[ruleID] == nil {
		t.byRule[ruleID] = &counts{}
	}
	return t.byRule[ruleID]
}

// retire notes that a program was replaced.
func (t *totals) retire(p *program) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p != nil {
		t.retired = append(t.retired, p)
	}
}

// keep forgets the rules that are gone.
func (t *totals) keep(now *snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.byRule, func(id int64, _ *counts) bool { return now.rules[id] == nil })
}

// Stats are numbers for the metrics of one process.
type Stats struct {
	Rules      int           // active ones that are evaluated
	Broken     int           // active ones that cannot be evaluated
	Rows       int64         // evaluated
	Matched    int64         // matches, suppressed ones included
	Suppressed int64         // matches that an exception kept from alerting
	Failed     int64         // times that one rule could not be evaluated
	Incomplete int64         // rows that not every rule could be evaluated on
	Time       time.Duration // of all rows together
}

// Stats returns the numbers as they are now.
func (s *Store) Stats() Stats {
	st := Stats{
		Rows: s.totals.rows.Load(), Matched: s.totals.matched.Load(), Suppressed: s.totals.suppressed.Load(), Failed: s.totals.failed.Load(),
		Incomplete: s.totals.incomplete.Load(), Time: time.Duration(s.totals.nanoseconds.Load()),
	}
	if now := s.current.Load(); now != nil {
		for _, l := range now.rules {
			switch {
			case l.Status != Active:
			case l.Problem != "" || now.program.problems[l.ID] != "":
				st.Broken++
			default:
				st.Rules++
			}
		}
	}
	return st
}

// flushing stores counters now and then until ctx ends, and once more then.
func (s *Store) flushing(ctx context.Context) {
	ticker := time.NewTicker(s.o.Flush)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Flush(last); err != nil {
				s.log.Warn("the last counts of rules are lost", "error", err)
			}
			return
		case <-ticker.C:
			if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("counters of rules cannot be stored; they add up", "error", err)
			}
		}
	}
}

// increment is what a rule did since the last flush.
type increment struct {
	ruleID int64
	from   *counts
	Counters
}

// Flush adds what was counted to the counters in the database. What could not be
// stored is kept for the next time. Faults: those of the database.
func (s *Store) Flush(ctx context.Context) error {
	increments := s.totals.take(s.current.Load())
	for len(increments) > 0 {
		part := increments[:min(len(increments), countersAtOnce)]
		if err := addCounters(ctx, s.db, part); err != nil {
			for _, in := range increments {
				in.giveBack()
			}
			return err
		}
		increments = increments[len(part):]
	}
	return s.flushExceptions(ctx)
}

// take empties the counts, by rule: replicas that store them at the same time must
// take rows in one order.
func (t *totals) take(now *snapshot) []increment {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.retired {
		p.drain()
	}
	t.retired = nil
	if now != nil {
		now.program.drain()
	}
	var all []increment
	for id, c := range t.byRule {
		in := increment{ruleID: id, from: c, Counters: Counters{
			Evaluated: c.evaluated.Swap(0), Matched: c.matched.Swap(0), Suppressed: c.suppressed.Swap(0), Failed: c.failed.Swap(0),
			Time: time.Duration(c.nanoseconds.Swap(0)), LastMatch: database.FromMicros(c.lastMatch.Load()),
		}}
		if in.Evaluated|in.Matched|in.Suppressed|in.Failed|int64(in.Time) != 0 {
			all = append(all, in)
		}
	}
	slices.SortFunc(all, func(a, b increment) int { return cmp.Compare(a.ruleID, b.ruleID) })
	return all
}

func (in increment) giveBack() {
	in.from.evaluated.Add(in.Evaluated)
	in.from.matched.Add(in.Matched)
	in.from.suppressed.Add(in.Suppressed)
	in.from.failed.Add(in.Failed)
	in.from.nanoseconds.Add(int64(in.Time))
}

// countersAtOnce is how many rules one statement counts.
const countersAtOnce = 200

// addCounters adds to the counters of rules that are still there.
func addCounters(ctx context.Context, db *database.DB, part []increment) error {
	row := "(" + strings.TrimSuffix(strings.Repeat("CAST(? AS bigint), ", 7), ", ") + ")"
	var args []any
	for _, in := range part {
		args = append(args, in.ruleID, in.Evaluated, in.Matched, in.Suppressed, in.Failed, int64(in.Time), database.Micros(in.LastMatch))
	}
	return database.Fault(db.Write(ctx).Exec(`
		INSERT INTO rule_counters (rule_id, evaluated, matched, suppressed, failed, nanoseconds, last_match_at)
		SELECT column1, column2, column3, column4, column5, column6, column7
		FROM (VALUES `+strings.TrimSuffix(strings.Repeat(row+", ", len(part)), ", ")+`) AS v
		WHERE column1 IN (SELECT id FROM rules)
		ON CONFLICT (rule_id) DO UPDATE SET
			evaluated = rule_counters.evaluated + excluded.evaluated, matched = rule_counters.matched + excluded.matched,
			suppressed = rule_counters.suppressed + excluded.suppressed, failed = rule_counters.failed + excluded.failed,
			nanoseconds = rule_counters.nanoseconds + excluded.nanoseconds,
			last_match_at = CASE WHEN excluded.last_match_at > rule_counters.last_match_at THEN excluded.last_match_at ELSE rule_counters.last_match_at END`,
		args...).Error)
}

// Counters returns what rules did, by id: those with these ids, or all. A rule that
// never was evaluated may be missing. What was counted in the last seconds may be
// too. Faults: those of the database.
func (s *Store) Counters(ctx context.Context, ids ...int64) (map[int64]Counters, error) {
	where, args := "", []any{}
	if len(ids) > 0 && len(ids) <= readAtOnce {
		where, args = " WHERE rule_id IN ?", []any{ids}
	}
	var rows []struct{ RuleID, Evaluated, Matched, Suppressed, Failed, Nanoseconds, LastMatchAt int64 }
	err := s.db.Read(ctx).Raw("SELECT rule_id, evaluated, matched, suppressed, failed, nanoseconds, last_match_at FROM rule_counters"+where, args...).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	all := make(map[int64]Counters, len(rows))
	for _, r := range rows {
		all[r.RuleID] = Counters{
			Evaluated: r.Evaluated, Matched: r.Matched, Suppressed: r.Suppressed, Failed: r.Failed,
			Time: time.Duration(r.Nanoseconds), LastMatch: database.FromMicros(r.LastMatchAt),
		}
	}
	return all, nil
}
