package detect

import (
	"testing"

	"muster/rules"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// All shipped rules on a row that meets none: what almost every row costs.
func BenchmarkARowThatMeetsNothing(b *testing.B) {
	s := New(dbtest.Open(b, database.SQLite), bus.NewMemory(), quiet(b), Options{Shipped: rules.Files})
	if err := s.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	e := event(b, `{"path":"/usr/bin/git","cmdline":"git status --short","parent_path":"/usr/bin/zsh","parent_cmdline":"-zsh","cwd":"/home/ann/src","username":"ann","uid":"1000","pid":"4711"}`)
	b.ReportAllocs()
	for b.Loop() {
		if matches, complete := s.Evaluate(e); len(matches) > 0 || !complete {
			b.Fatal(matches, complete)
		}
	}
}

// Every shipped rule is read and compiled: what a start costs, and a change of a rule
// at most.
func BenchmarkRefresh(b *testing.B) {
	s := New(dbtest.Open(b, database.SQLite), bus.NewMemory(), quiet(b), Options{Shipped: rules.Files})
	if err := s.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.current.Store(nil)
		if err := s.Refresh(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
