package detect

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestARowMeetsRules(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		for name, conditions := range map[string][]byte{
			"shell":    where("path", "ends_with", "/SH"),
			"query":    where("query_name", "equal", "process_events"),
			"removed":  where("action", "equal", "removed"),
			"host":     where("host_identifier", "equal", "WEB-1"),
			"time":     where("timestamp", "greater", noon.Unix()-1),
			"not-bash": where("path", "not_contains", "bash"),
		} {
			added(t, s, name, conditions)
		}
		quiet, err := s.Add(t.Context(), Rule{Name: "quiet", Status: "inactive", Conditions: where("path", "contains", "s")})
		ok(t, err)
		if got := names(t, s, event(t, `{"path":"/bin/sh"}`)); got != "" {
			t.Errorf("before it was compiled: %q", got)
		}
		ok(t, s.Refresh(t.Context()))
		if got := strings.Join(sortedWords(names(t, s, event(t, `{"path":"/bin/sh"}`))), " "); got != "host not-bash query shell time" {
			t.Errorf("%q", got)
		}
		e := event(t, `{"path":"/bin/bash"}`)
		e.Action, e.Query, e.HostIdentifier, e.UnixTime = "removed", "other", "web-2", 5
		if got := strings.Join(sortedWords(names(t, s, e)), " "); got != "removed" {
			t.Errorf("%q", got)
		}
		_, _, err = s.Update(t.Context(), quiet.ID, func(r *Rule) error { r.Status = Active; r.Severity = Critical; return nil })
		ok(t, err)
		ok(t, s.Refresh(t.Context()))
		matches, complete := s.Evaluate(event(t, `{"path":"/usr/bin/bash"}`))
		last := matches[len(matches)-1]
		if !complete || last.Name != "quiet" || last.RuleID != quiet.ID || last.Severity != Critical || last.Alerters[0] != "debug" {
			t.Errorf("%+v", last)
		}
	})
}

func TestNothingIsEvaluatedBeforeLoad(t *testing.T) {
	s := New(dbtest.Open(t, database.SQLite), bus.NewMemory(), quiet(t), Options{})
	if matches, complete := s.Evaluate(event(t, `{}`)); matches != nil || !complete {
		t.Error(matches, complete)
	}
}

func TestReplicasFollowEachOther(t *testing.T) {
	for name, hints := range map[string]func() (bus.Bus, bus.Bus){
		"by hints": func() (bus.Bus, bus.Bus) { b := bus.NewMemory(); return b, b },
		"by poll":  func() (bus.Bus, bus.Bus) { return bus.NewMemory(), bus.NewMemory() },
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, db *database.DB) {
				c, poll := &clock{at: noon}, time.Hour
				if name == "by poll" {
					poll = time.Millisecond
				}
				here, there := hints()
				one := New(db, here, quiet(t), Options{Now: c.now, Poll: poll})
				two := New(db, there, quiet(t), Options{Now: c.now, Poll: poll})
				ok(t, two.Load(t.Context()))
				running(t, two)
				r := added(t, one, "shell", where("path", "equal", "/bin/sh"))
				meets := func(want string) func() bool {
					return func() bool { return names(t, two, event(t, `{"path":"/bin/sh"}`)) == want }
				}
				until(t, "a new rule is evaluated", meets("shell"))
				// The clock stands still, and the change is seen all the same.
				_, _, err := one.Update(t.Context(), r.ID, func(r *Rule) error { r.Name = "other"; return nil })
				ok(t, err)
				until(t, "a changed rule is evaluated", meets("other"))
				x, err := one.AddException(t.Context(), Exception{RuleID: r.ID, Conditions: where("path", "contains", "sh"), Reason: "known"})
				ok(t, err)
				until(t, "an exception spares", meets(""))
				_, err = one.DeleteException(t.Context(), x.ID)
				ok(t, err)
				until(t, "an exception is gone", meets("other"))
				_, err = one.Delete(t.Context(), r.ID)
				ok(t, err)
				until(t, "a rule is gone", meets(""))
			})
		})
	}
}

func TestExceptionsSpareUntilTheyExpire(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := newLoaded(t, db)
		ctx := t.Context()
		a := added(t, s, "a", where("path", "contains", "sh"))
		added(t, s, "b", where("path", "contains", "sh"))
		one, err := s.AddException(ctx, Exception{RuleID: a.ID, Conditions: where("uid", "equal", "5"), Reason: " nightly job ", Username: "ann", AlertID: 9, Expires: noon.Add(time.Hour)})
		ok(t, err)
		every, err := s.AddException(ctx, Exception{Conditions: where("host_identifier", "equal", "lab"), Reason: "a laboratory"})
		ok(t, err)
		ok(t, s.Refresh(ctx))
		lab := event(t, `{"path":"/bin/sh"}`)
		lab.HostIdentifier = "lab"
		for sentence, c := range map[string]struct {
			event Event
			want  string
		}{
			"what no exception names":      {event(t, `{"path":"/bin/sh","uid":"6"}`), "a b"},
			"an exception of a rule":       {event(t, `{"path":"/bin/sh","uid":"5"}`), "b"},
			"an exception of every rule":   {lab, ""},
			"an exception without a match": {event(t, `{"path":"/bin/ls","uid":"5"}`), ""},
		} {
			if got := names(t, s, c.event); got != c.want {
				t.Errorf("%s: %q", sentence, got)
			}
		}
		ok(t, s.Flush(ctx))
		list, err := s.Exceptions(ctx, a.ID)
		ok(t, err)
		if len(list) != 1 || list[0].ID != one.ID || list[0].Hits != 1 || !list[0].LastHit.Equal(noon) || list[0].Reason != "nightly job" || list[0].AlertID != 9 || list[0].Username != "ann" {
			t.Errorf("%+v", list)
		}
		if list, err = s.Exceptions(ctx, 0); err != nil || len(list) != 1 || list[0].ID != every.ID || list[0].Hits != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		counters, err := s.Counters(ctx, a.ID)
		if got := counters[a.ID]; err != nil || got.Matched != 3 || got.Suppressed != 2 || !got.LastMatch.Equal(noon) {
			t.Errorf("%+v, %v", got, err)
		}

		c.pass(time.Hour)
		if got := names(t, s, event(t, `{"path":"/bin/sh","uid":"5"}`)); got != "a b" {
			t.Errorf("after it expired: %q", got)
		}
		ok(t, s.Refresh(ctx))
		if n := len(s.current.Load().exceptions[a.ID]); n != 0 {
			t.Errorf("%d expired exceptions are kept in memory", n)
		}
	})
}

func TestExceptionsThatAreRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		r := added(t, s, "a", where("path", "contains", "sh"))
		for sentence, c := range map[string]struct {
			exception Exception
			says      string
		}{
			"without a reason": {Exception{RuleID: r.ID, Conditions: where("a", "equal", "b"), Reason: " "}, "needs a reason"},
			"it is over":       {Exception{RuleID: r.ID, Conditions: where("a", "equal", "b"), Reason: "x", Expires: noon}, "would have expired already"},
			"no conditions":    {Exception{RuleID: r.ID, Reason: "x"}, "conditions must be a JSON object"},
			"wrong conditions": {Exception{RuleID: r.ID, Conditions: where("a", "is", "b"), Reason: "x"}, "Unsupported operator"},
			"no such rule":     {Exception{RuleID: r.ID + 1, Conditions: where("a", "equal", "b"), Reason: "x"}, "Rule with this id does not exist"},
		} {
			if _, err := s.AddException(t.Context(), c.exception); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if _, err := s.DeleteException(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "Exception with this id does not exist") {
			t.Error(err)
		}
		if _, err := s.Exceptions(t.Context(), r.ID+1); err == nil {
			t.Error("a rule that is not there has exceptions")
		}
	})
}

func TestCountersAddUpOverReplicasAndFailures(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		other, _ := newLoaded(t, db)
		ctx := t.Context()
		r := added(t, s, "a", where("path", "contains", "sh"))
		gone := added(t, s, "gone", where("path", "contains", "sh"))
		for i, store := range []*Store{s, other, s} {
			ok(t, store.Refresh(ctx))
			for range i + 1 {
				names(t, store, event(t, `{"path":"/bin/sh"}`))
			}
			if i == 1 {
				_, err := s.Delete(ctx, gone.ID) // whose counts nobody wants any more
				ok(t, err)
			}
			canceled, cancel := context.WithCancel(ctx)
			cancel()
			if err := store.Flush(canceled); err == nil {
				t.Error("counters were stored without a database")
			}
			ok(t, store.Flush(ctx))
		}
		counters, err := s.Counters(ctx)
		if err != nil || len(counters) != 1 || counters[r.ID].Matched != 6 {
			t.Errorf("%+v, %v", counters, err)
		}
		if st := s.Stats(); st.Rules != 1 || st.Rows != 4 || st.Matched != 5 {
			t.Errorf("%+v", st)
		}
	})
}

func TestProgramsAreSwappedUnderLoad(t *testing.T) {
	s, _ := newLoaded(t, dbtest.Open(t, database.SQLite))
	ctx := t.Context()
	added(t, s, "always", where("path", "contains", "sh"))
	ok(t, s.Refresh(ctx))
	var working sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		working.Go(func() {
			e := event(t, `{"path":"/bin/sh","uid":"5"}`)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if matches, complete := s.Evaluate(e); !complete || len(matches) == 0 || matches[0].Name != "always" {
					t.Errorf("%v, %v", matches, complete)
					return
				}
			}
		})
	}
	for i := range 30 {
		r := added(t, s, fmt.Sprint("rule ", i), where("uid", "equal", fmt.Sprint(i)))
		ok(t, s.Refresh(ctx))
		if i%2 == 0 {
			_, err := s.Delete(ctx, r.ID)
			ok(t, err)
			ok(t, s.Refresh(ctx))
		}
		ok(t, s.Flush(ctx))
	}
	close(stop)
	working.Wait()
}
