package alerts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/fault"
)

// told is the history of an alert in short.
func (r *rig) told(id int64) []string {
	r.t.Helper()
	changes, count, err := r.History(r.t.Context(), id, Page{})
	r.ok(err)
	if count != len(changes) {
		r.t.Errorf("%d changes, counted %d", len(changes), count)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%s %s %s: %s -> %s; %s", c.At.Format("15:04"), c.Username, c.Action, c.Was, c.Becomes, c.Comment))
	}
	return lines
}

func TestTheLifeOfAnAlert(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		ids := r.several()
		alice, bob := Note{Username: "alice"}, Note{Username: "bob", Comment: "a test of ours\x00"}
		step := func(want []int64, got []int64, err error) {
			r.t.Helper()
			r.ok(err)
			if !slices.Equal(got, want) {
				r.t.Errorf("%v changed, not %v", got, want)
			}
			r.now = r.now.Add(time.Minute)
		}
		both := []int64{ids[1], ids[0], ids[1]}
		sorted := []int64{ids[0], ids[1]}
		got, err := r.Assign(ctx, both, " alice ", alice)
		step(sorted, got, err)
		got, err = r.SetStatus(ctx, ids[:1], Handling{Status: InProgress}, alice)
		step(ids[:1], got, err)
		got, err = r.SetStatus(ctx, ids[:1], Handling{Resolved, FalsePositive}, bob)
		step(ids[:1], got, err)
		got, err = r.Resolve(ctx, both, alice) // what is resolved keeps its verdict
		step(ids[1:2], got, err)
		resolved, err := r.Find(ctx, ids[0])
		r.ok(err)
		if resolved.Status != Resolved || resolved.Verdict != FalsePositive || !resolved.ResolvedSince.Equal(r.now.Add(-2*time.Minute)) || resolved.Assignee != "alice" {
			r.t.Errorf("resolved: %+v", resolved)
		}
		r.ok(r.Comment(ctx, ids[0], Note{Username: "bob", Comment: "see ticket 5"}))
		got, err = r.Reopen(ctx, both, bob)
		step(sorted, got, err)
		got, err = r.Reopen(ctx, both, bob)
		step(nil, got, err)
		got, err = r.Assign(ctx, ids[:1], "", alice)
		step(ids[:1], got, err)
		open, err := r.Find(ctx, ids[0])
		r.ok(err)
		if open.Status != Open || open.Verdict != "" || !open.ResolvedSince.IsZero() || open.Assignee != "" || !open.Updated.Equal(r.now.Add(-time.Minute)) {
			r.t.Errorf("open again: %+v", open)
		}
		want := []string{
			"12:05 alice assignee:  -> alice; ",
			"12:06 alice status: open -> in_progress; ",
			"12:07 bob status: in_progress -> resolved (false_positive); a test of ours\uFFFD",
			"12:09 bob comment:  -> ; see ticket 5",
			"12:09 bob status: resolved (false_positive) -> open; a test of ours\uFFFD",
			"12:11 alice assignee: alice -> ; ",
		}
		if diff := cmp.Diff(want, r.told(ids[0])); diff != "" {
			r.t.Error(diff)
		}
		page, count, err := r.History(ctx, ids[0], Page{Start: 3, Limit: 1})
		if r.ok(err); count != 6 || len(page) != 1 || page[0].Action != Commented {
			r.t.Errorf("a page: %d %+v", count, page)
		}
	})
}

func TestChangesThatAreRefused(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		id := r.raised(finding(1))[0].Alert.ID
		status := func(h Handling) error {
			_, err := r.SetStatus(ctx, []int64{id}, h, Note{})
			return err
		}
		only := func(_ []int64, err error) error { return err }
		for sentence, c := range map[string]struct {
			err   error
			kind  fault.Kind
			field string
		}{
			"one of many does not exist": {only(r.Resolve(ctx, []int64{id, id + 1}, Note{})), fault.NotFound, ""},
			"too many":                   {only(r.Resolve(ctx, slices.Collect(ids(MaxChanged+1)), Note{})), fault.Invalid, ""},
			"an unknown status":          {status(Handling{Status: "done"}), fault.Invalid, "status"},
			"an unknown verdict":         {status(Handling{Resolved, "maybe"}), fault.Invalid, "verdict"},
			"a verdict while it is open": {status(Handling{InProgress, TruePositive}), fault.Invalid, "verdict"},
			"an empty comment":           {r.Comment(ctx, id, Note{Comment: " \n"}), fault.Invalid, "comment"},
			"a long comment":             {r.Comment(ctx, id, Note{Comment: strings.Repeat("é", MaxComment+1)}), fault.Invalid, "comment"},
			"a comment on nothing":       {r.Comment(ctx, id+1, Note{Comment: "x"}), fault.NotFound, ""},
			"a long name":                {only(r.Assign(ctx, []int64{id}, strings.Repeat("x", 201), Note{})), fault.Invalid, "assignee"},
		} {
			if !fault.Is(c.err, c.kind) || c.field != "" && fault.FieldsOf(c.err)[c.field] == "" {
				r.t.Errorf("%s: %v", sentence, c.err)
			}
		}
		if _, err := r.Resolve(ctx, nil, Note{}); err != nil {
			r.t.Errorf("none at all: %v", err)
		}
		if told := r.told(id); len(told) != 0 {
			r.t.Errorf("history: %q", told)
		}
	})
}

// ids counts from 1.
func ids(n int64) func(func(int64) bool) {
	return func(yield func(int64) bool) {
		for id := int64(1); id <= n && yield(id); id++ {
			continue
		}
	}
}

func TestAResolvedAlertTakesNoEvents(t *testing.T) {
	each(t, func(r *rig) {
		first := r.raised(finding(1))[0].Alert.ID
		_, err := r.Resolve(r.t.Context(), []int64{first}, Note{})
		r.ok(err)
		second := r.raised(finding(1))[0]
		if !second.New || second.Alert.ID == first {
			r.t.Errorf("%+v", second)
		}
		_, err = r.Reopen(r.t.Context(), []int64{first}, Note{})
		r.ok(err)
		if third := r.raised(finding(1))[0]; third.Alert.ID != second.Alert.ID {
			r.t.Errorf("of two that are open the newer one takes events, not %d", third.Alert.ID)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		once := finding(1)
		once.Once, once.Group = "once", "once"
		old := r.raised(once, finding(2), finding(3))
		for range purgeChunk + 1 {
			r.now = r.now.Add(2 * time.Minute)
			id := r.raised(finding(1))[0].Alert.ID
			_, err := r.Resolve(ctx, []int64{id}, Note{Username: "alice"})
			r.ok(err)
		}
		_, err := r.Resolve(ctx, []int64{old[0].Alert.ID}, Note{Username: "alice"})
		r.ok(err)
		r.ok(r.db.Write(ctx).Exec("UPDATE hosts SET state = 'deleted' WHERE id = 3").Error)
		r.now = r.now.Add(time.Hour)
		young := r.raised(finding(1))[0].Alert.ID
		_, err = r.Resolve(ctx, []int64{young}, Note{})
		r.ok(err)

		r.ok(r.Purge(ctx, time.Time{}))
		if n := r.count("alerts"); n != purgeChunk+5 {
			r.t.Fatalf("%d alerts before", n)
		}
		r.ok(r.Purge(ctx, r.now))
		for table, want := range map[string]int{"alerts": 2, "alert_events": 2, "alert_history": 1, "alert_onces": 0, "alert_techniques": 8} {
			if n := r.count(table); n != want {
				r.t.Errorf("%s has %d rows, not %d", table, n, want)
			}
		}
		if got := r.raised(once); len(got) != 1 || !got[0].New {
			r.t.Errorf("a Once whose alert is gone: %+v", got)
		}
	})
}

func TestRetain(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		id := r.raised(finding(1))[0].Alert.ID
		_, err := r.Resolve(ctx, []int64{id}, Note{})
		r.ok(err)
		r.now = r.now.AddDate(0, 0, DefaultDays+1)
		r.ok(r.SetDays(ctx, 0))
		if r.ok(r.Retain(ctx)); r.count("alerts") != 1 {
			r.t.Error("for ever is over")
		}
		for _, wrong := range []int{-1, MaxDays + 1} {
			if err := r.SetDays(ctx, wrong); !fault.Is(err, fault.Invalid) {
				r.t.Errorf("%d days: %v", wrong, err)
			}
		}
		r.ok(r.SetDays(ctx, DefaultDays))
		if r.ok(r.Retain(ctx)); r.count("alerts") != 0 {
			r.t.Error("it is kept")
		}
	})
}

func (r *rig) count(table string) (n int) {
	r.t.Helper()
	r.ok(r.db.Read(r.t.Context()).Raw("SELECT count(*) FROM " + table).Scan(&n).Error)
	return n
}
