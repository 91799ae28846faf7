package detect

import (
	"strings"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// slow is a rule that takes longer on a large value than anybody waits.
func slow(t *testing.T, s *Store) Rule {
	t.Helper()
	return added(t, s, "slow", where("cmdline", "matches_regex", "[ab]{300}nc$"))
}

func TestARuleThatTakesTooLongCostsNoOther(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		bad := slow(t, s)
		added(t, s, "path", where("path", "ends_with", "sh"))
		added(t, s, "uid", where("uid", "equal", "0"))
		ok(t, s.Refresh(t.Context()))
		e := event(t, `{"cmdline":"`+strings.Repeat("a", 2_000_000)+`nc","path":"/bin/sh","uid":"0"}`)
		matches, complete := s.Evaluate(e)
		if complete || len(matches) != 2 || matches[0].Name != "path" || matches[1].Name != "uid" {
			t.Errorf("%+v, %v", matches, complete)
		}
		ok(t, s.Flush(t.Context()))
		counters, err := s.Counters(t.Context(), bad.ID)
		if got := counters[bad.ID]; err != nil || got.Failed != 1 || got.Matched != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if st := s.Stats(); st.Incomplete != 1 || st.Failed != 1 {
			t.Errorf("%+v", st)
		}
		e.Within = time.Nanosecond // the whole row has no time: what is not certain is not said
		if matches, complete = s.Evaluate(e); complete || len(matches) > 2 {
			t.Errorf("%+v, %v", matches, complete)
		}
		if got := names(t, s, event(t, `{"cmdline":"x","path":"/bin/sh","uid":"0"}`)); got != "path uid" {
			t.Errorf("the next row: %q", got)
		}
	})
}

func TestARuleThatCannotBeCompiledCostsNoOther(t *testing.T) {
	s, _ := newLoaded(t, dbtest.Open(t, database.SQLite))
	broken := added(t, s, "broken", where("path", "ends_with", "sh"))
	added(t, s, "sound", where("path", "ends_with", "sh"))
	ok(t, s.Refresh(t.Context()))
	now := *s.current.Load()
	now.rules[broken.ID].variants[0].tree = nil // what panics when it is compiled
	now.program = compile(now.rules)
	s.current.Store(&now)
	if got := names(t, s, event(t, `{"path":"/bin/sh"}`)); got != "sound" {
		t.Errorf("%q", got)
	}
	if r := mustFind(t, s, broken.ID); !strings.HasPrefix(r.Problem, "The rule cannot be compiled: panic") {
		t.Errorf("%+v", r)
	}
	if st := s.Stats(); st.Rules != 1 || st.Broken != 1 {
		t.Errorf("%+v", st)
	}
}

func TestAnExceptionThatPanicsSparesNothing(t *testing.T) {
	s, _ := newLoaded(t, dbtest.Open(t, database.SQLite))
	r := added(t, s, "a", where("path", "ends_with", "sh"))
	added(t, s, "b", where("path", "ends_with", "sh"))
	_, err := s.AddException(t.Context(), Exception{RuleID: r.ID, Conditions: where("path", "contains", "sh"), Reason: "x"})
	ok(t, err)
	ok(t, s.Refresh(t.Context()))
	s.current.Load().exceptions[r.ID][0].tree = nil
	for range 2 {
		if got := names(t, s, event(t, `{"path":"/bin/sh"}`)); got != "a b" {
			t.Errorf("%q", got)
		}
	}
	ok(t, s.Flush(t.Context()))
	counters, err := s.Counters(t.Context())
	if got := counters[r.ID]; err != nil || got.Failed != 2 || got.Matched != 2 || got.Suppressed != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAMistakeOfOursCostsTheCallerNothing(t *testing.T) {
	s, _ := newLoaded(t, dbtest.Open(t, database.SQLite))
	added(t, s, "a", where("path", "ends_with", "sh"))
	ok(t, s.Refresh(t.Context()))
	now := *s.current.Load()
	sound := now.program.matcher
	now.program.matcher = nil // what panics when it is asked
	e := event(t, `{"path":"/bin/sh"}`)
	if matches, complete := s.Evaluate(e); matches != nil || complete {
		t.Errorf("%v, %v", matches, complete)
	}
	now.program.matcher = sound
	if got := names(t, s, e); got != "a" {
		t.Errorf("the same row afterwards: %q", got)
	}
	if st := s.Stats(); st.Incomplete != 1 || st.Matched != 1 {
		t.Errorf("%+v", st)
	}
}

func TestOnceTheTimeIsUpMatchesAreNotExplained(t *testing.T) {
	s, _ := newLoaded(t, dbtest.Open(t, database.SQLite))
	for _, name := range []string{"a", "b", "c"} {
		added(t, s, name, where("path", "ends_with", "sh"))
	}
	ok(t, s.Refresh(t.Context()))
	e := event(t, `{"path":"/bin/sh"}`)
	for within, want := range map[time.Duration]int{time.Nanosecond: 1, time.Minute: 3} {
		e.Within = within
		explained := 0
		matches, complete := s.Evaluate(e)
		for _, m := range matches {
			explained += len(m.Why)
		}
		if len(matches) != 3 || !complete || explained != want {
			t.Errorf("within %s: %+v, %v", within, matches, complete)
		}
	}
}
