package detect

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"muster/server/database"
)

// snapshot is everything that was stored at one time, ready to be evaluated. It is
// immutable, but for what is counted.
type snapshot struct {
	version    string
	rules      map[int64]*loaded
	exceptions map[int64][]*exception // by rule; those of 0 are for every rule
	program    *program
}

// loaded is a rule in memory, the same one for as long as it is not changed.
type loaded struct {
	Rule
	variants []variant // none: it is not active, or cannot be evaluated
	counts   *counts
}

// Refresh reads what is stored if it changed since the last time, and compiles it:
// after it, what the caller has committed is evaluated here. Faults: those of the
// database; then what was compiled last stays in use.
func (s *Store) Refresh(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	last := s.current.Load()
	if last == nil {
		last = &snapshot{}
	}
	next, err := s.build(ctx, last)
	if err != nil || next == last {
		return err
	}
	s.current.Store(next)
	if last.program != next.program {
		s.totals.retire(last.program)
	}
	s.totals.keep(next)
	return nil
}

// build makes a snapshot of what is stored, taking what did not change from last.
// When nothing changed it returns last itself.
func (s *Store) build(ctx context.Context, last *snapshot) (*snapshot, error) {
	m := marks{now: database.Micros(s.o.Now())}
	var rules []Rule
	var exceptions []Exception
	err := s.db.View(ctx, func(view *database.DB) (err error) {
		if err = m.read(ctx, view); err != nil || m.version() == last.version {
			return err
		}
		if rules, err = readRules(ctx, view, m.changed(last)); err != nil {
			return err
		}
		exceptions, err = readExceptions(ctx, view, "expires_at = 0 OR expires_at > ?", m.now)
		return err
	})
	if err != nil || m.version() == last.version {
		return last, err
	}
	next := &snapshot{version: m.version(), rules: make(map[int64]*loaded, len(m.rules)), program: last.program}
	for id := range m.rules {
		if l := last.rules[id]; m.same(l, id) {
			next.rules[id] = l
		}
	}
	s.loadRules(rules, next.rules)
	next.exceptions = s.loadExceptions(exceptions, last)
	if last.program == nil || len(rules) > 0 || len(next.rules) != len(last.rules) {
		next.program = compile(next.rules)
		for id, problem := range next.program.problems {
			s.log.Error("a rule cannot be evaluated", "rule_id", id, "problem", problem)
		}
	}
	return next, nil
}

// loadRules reads rules that are new or changed.
func (s *Store) loadRules(rules []Rule, into map[int64]*loaded) {
	var broken []string
	for _, r := range rules {
		l := s.load(r)
		into[r.ID] = l
		if l.Status == Active && l.Problem != "" {
			broken = append(broken, fmt.Sprintf("%d %s: %s", l.ID, l.Name, l.Problem))
		}
	}
	if len(broken) > 0 { // a mapping that fits no more can break thousands
		s.log.Warn("rules cannot be evaluated", "count", len(broken), "first", broken[:min(len(broken), 10)])
	}
}

// load reads a rule for the first time since it changed. Kept are what is evaluated,
// and what lists of rules would have to translate again.
func (s *Store) load(r Rule) *loaded {
	l := &loaded{counts: s.totals.of(r.ID)}
	l.counts.fell.Store(false)
	variants := s.readable(&r)
	if r.Status == Active {
		l.variants = variants
	}
	if r.Source == "" {
		r.Conditions = nil
	}
	r.Description, r.Source = "", ""
	l.Rule = r
	return l
}

// describe fills in what readable does, from memory where the rule is known as it is.
func (s *Store) describe(r *Rule) {
	now := s.current.Load()
	if now == nil || now.rules[r.ID] == nil || !now.rules[r.ID].Updated.Equal(r.Updated) {
		s.readable(r)
		return
	}
	known := now.rules[r.ID]
	r.Tables, r.Platforms, r.Problem, r.Warnings = known.Tables, known.Platforms, known.Problem, known.Warnings
	if r.Source != "" {
		r.Conditions = known.Conditions
	}
	if r.Problem == "" {
		r.Problem = now.program.problems[r.ID]
	}
}

// marks tell what is stored without reading it. Rows and not the latest time are
// compared: a row may be gone, and replicas' clocks differ.
type marks struct {
	rules      map[int64]int64 // id -> when it was changed
	exceptions []int64         // that have not expired
	now        int64
}

func (m *marks) read(ctx context.Context, db *database.DB) error {
	var rows []struct{ ID, UpdatedAt int64 }
	if err := db.Read(ctx).Raw("SELECT id, updated_at FROM rules").Scan(&rows).Error; err != nil {
		return database.Fault(err)
	}
	m.rules = make(map[int64]int64, len(rows))
	for _, row := range rows {
		m.rules[row.ID] = row.UpdatedAt
	}
	return database.Fault(db.Read(ctx).Raw("SELECT id FROM rule_exceptions WHERE expires_at = 0 OR expires_at > ? ORDER BY id", m.now).
		Scan(&m.exceptions).Error)
}

// changed are the rules that last does not have as they are stored.
func (m *marks) changed(last *snapshot) []int64 {
	return slices.DeleteFunc(m.ruleIDs(), func(id int64) bool { return m.same(last.rules[id], id) })
}

func (m *marks) ruleIDs() []int64 {
	ids := make([]int64, 0, len(m.rules))
	for id := range m.rules {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// same reports whether a rule in memory is the one that is stored.
func (m *marks) same(l *loaded, id int64) bool {
	return l != nil && database.Micros(l.Updated) == m.rules[id]
}

func (m *marks) version() string {
	sum := sha256.New()
	var number [8]byte
	write := func(n int64) {
		binary.BigEndian.PutUint64(number[:], uint64(n)) //nolint:gosec // any 64 bits will do
		_, _ = sum.Write(number[:])
	}
	for _, id := range m.ruleIDs() {
		write(id)
		write(m.rules[id])
	}
	write(-1)
	for _, id := range m.exceptions {
		write(id)
	}
	return string(sum.Sum(nil))
}
