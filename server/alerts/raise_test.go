package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// rig is a store at a time that the test moves, with hosts 1 and 2 that are
// active and host 3 that was removed.
type rig struct {
	*Store
	t   *testing.T
	now time.Time
}

func each(t *testing.T, test func(r *rig)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) { test(newRig(t, db)) })
}

func newRig(t testing.TB, db *database.DB) *rig {
	t.Helper()
	r := &rig{Store: New(db), now: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)}
	r.t, _ = t.(*testing.T)
	r.Now = func() time.Time { return r.now }
	for id, state := range map[int]string{1: "active", 2: "active", 3: "removed"} {
		err := db.Write(t.Context()).Exec(`INSERT INTO hosts (id, identifier, hostname, platform, state, enrolled_on, last_enrollment, updated_at)
			VALUES (?, ?, ?, 'linux', ?, 1, 1, 1)`, id, fmt.Sprintf("host-%d", id), fmt.Sprintf("web-%d", id), state).Error
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// raised raises and wants no error.
func (r *rig) raised(findings ...Finding) []Raised {
	r.t.Helper()
	all, err := r.Raise(r.t.Context(), findings)
	r.ok(err)
	return all
}

// finding is one of rule 7 on a host.
func finding(host int64) Finding {
	return Finding{
		HostID: host, Source: Rule, RuleID: 7, Name: "A shell of the web server", Group: "rule:7", Severity: "WARNING", QueryName: "process_events",
		Action: "added", Columns: json.RawMessage(`{"pid":"42","cmdline":"sh -c \u0000id"}`), UnixTime: 1772366390, ResultID: 11,
		Why: json.RawMessage(`[{"field":"cmdline"}]`), TechniqueIDs: []string{"T1059.004", "T1505.003"}, Tactics: []string{"execution"},
	}
}

func TestAFindingRaisesAnAlert(t *testing.T) {
	each(t, func(r *rig) {
		r.now = r.now.Add(time.Microsecond)
		got := r.raised(finding(1))
		want := Alert{
			ID: got[0].Alert.ID, HostID: 1, Source: Rule, RuleID: 7, Name: "A shell of the web server", Group: "rule:7", Severity: "WARNING",
			QueryName: "process_events", Action: "added", Columns: json.RawMessage(`{"pid":"42","cmdline":"sh -c \u0000id"}`),
			Time: time.Unix(1772366390, 0).UTC(), ResultID: 11, Why: json.RawMessage(`[{"field":"cmdline"}]`), SourceData: json.RawMessage(`{}`),
			ReconQueries: json.RawMessage(`{}`), TechniqueIDs: []string{"T1059.004", "T1505.003"}, Tactics: []string{"execution"}, Status: Open,
			EventCount: 1, Created: r.now, LastEvent: r.now, Updated: r.now,
		}
		if diff := cmp.Diff([]Raised{{Alert: want, EventID: got[0].EventID, New: true}}, got); diff != "" {
			r.t.Error(diff)
		}
		stored, err := r.Find(r.t.Context(), want.ID)
		r.ok(err)
		if diff := cmp.Diff(want, stored); diff != "" {
			r.t.Error(diff)
		}
		event, err := r.FindEvent(r.t.Context(), got[0].EventID)
		r.ok(err)
		wantEvent := Event{
			ID: got[0].EventID, AlertID: want.ID, QueryName: "process_events", Action: "added", Columns: want.Columns, Why: want.Why, ResultID: 11,
			Time: want.Time, Created: r.now,
		}
		if diff := cmp.Diff(wantEvent, event); diff != "" {
			r.t.Error(diff)
		}
		if _, err := r.Find(r.t.Context(), want.ID+1); !fault.Is(err, fault.NotFound) {
			r.t.Errorf("an alert that is not there: %v", err)
		}
	})
}

func TestFindingsThatAreAlikeAreGathered(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		other := finding(1)
		other.Group = "rule:8"
		first := r.raised(finding(1), finding(2), finding(1), other)
		ids := func(all []Raised) (ids []int64, fresh []bool) {
			for _, one := range all {
				ids, fresh = append(ids, one.Alert.ID), append(fresh, one.New)
			}
			return ids, fresh
		}
		got, fresh := ids(first)
		if got[0] != got[2] || got[0] == got[1] || got[0] == got[3] || !slices.Equal(fresh, []bool{true, true, false, true}) {
			r.t.Fatalf("in one call: alerts %v, new %v", got, fresh)
		}
		r.now = r.now.Add(DefaultAggregation - time.Microsecond)
		again := r.raised(finding(1))
		if again[0].New || again[0].Alert.ID != got[0] || again[0].Alert.EventCount != 3 {
			r.t.Errorf("within the window: %+v", again[0])
		}
		alert, err := r.Find(ctx, got[0])
		r.ok(err)
		if alert.EventCount != 3 || !alert.LastEvent.Equal(r.now) || alert.Created.Equal(r.now) {
			r.t.Errorf("the alert: %+v", alert)
		}
		events, count, err := r.Events(ctx, got[0], Page{})
		r.ok(err)
		if count != 3 || len(events) != 3 || events[0].ID != first[0].EventID || events[1].ID != first[2].EventID || events[2].ID != again[0].EventID {
			r.t.Errorf("its events: %d %+v", count, events)
		}
		if events, count, err = r.Events(ctx, got[0], Page{Start: 1, Limit: 1}); err != nil || count != 3 || len(events) != 1 || events[0].ID != first[2].EventID {
			r.t.Errorf("a page of them: %d %+v %v", count, events, err)
		}
		r.now = r.now.Add(time.Microsecond) // the window counts from the alert's creation, not from its newest event
		if late := r.raised(finding(1)); !late[0].New || late[0].Alert.ID == got[0] {
			r.t.Errorf("after the window: %+v", late[0])
		}
	})
}

func TestFindingsWithAOnceAreRaisedOnce(t *testing.T) {
	each(t, func(r *rig) {
		once := func(key string) Finding {
			f := finding(1)
			f.Once, f.Name = key, key
			return f
		}
		long := strings.Repeat("é", 5_000)
		names := func(all []Raised) (names []string) {
			for _, one := range all {
				names = append(names, one.Alert.Name)
			}
			return names
		}
		got := r.raised(once("a"), once("a"), finding(2), once(long))
		if len(got) != 3 || got[0].Alert.ID != got[2].Alert.ID || got[0].Alert.EventCount != 2 {
			r.t.Errorf("at first: %q", names(got))
		}
		r.now = r.now.Add(time.Hour)
		if got := r.raised(once(long), once("a"), once("b")); len(got) != 1 || got[0].Alert.Name != "b" {
			r.t.Errorf("again: %q", names(got))
		}
		if got := r.raised(once("b")); len(got) != 0 {
			r.t.Errorf("once more: %q", names(got))
		}
	})
}

func TestAnAlertKeepsItsFirstEventsAndCountsTheRest(t *testing.T) {
	each(t, func(r *rig) {
		many := make([]Finding, MaxEvents-1)
		for i := range many {
			many[i] = finding(1)
		}
		r.raised(many...)
		got := r.raised(finding(1), finding(1), finding(1))
		if got[0].EventID == 0 || got[1].EventID != 0 || got[2].EventID != 0 || got[0].Alert.EventCount != MaxEvents+2 {
			r.t.Errorf("%d events, the last %d, %d and %d", got[0].Alert.EventCount, got[0].EventID, got[1].EventID, got[2].EventID)
		}
		_, count, err := r.Events(r.t.Context(), got[0].Alert.ID, Page{Limit: 1})
		if r.ok(err); count != MaxEvents {
			r.t.Errorf("%d are kept", count)
		}
	})
}

func TestWhatCannotBeStoredIsMended(t *testing.T) {
	each(t, func(r *rig) {
		f := finding(1)
		f.Name, f.Columns, f.Why, f.QueryName = strings.Repeat("é", 600)+"\x00", json.RawMessage("no JSON"), nil, "a\x00\xff"
		f.SourceData = json.RawMessage(`"` + strings.Repeat("x", maxDocument) + `"`)
		f.TechniqueIDs, f.Tactics = []string{"T1\x00"}, nil
		got := r.raised(f)[0].Alert
		if got.Name != strings.Repeat("é", 500) || string(got.Columns) != "{}" || string(got.Why) != "[]" || got.QueryName != "a\uFFFD" ||
			!strings.HasPrefix(string(got.SourceData), `{"omitted"`) || !slices.Equal(got.TechniqueIDs, []string{"T1"}) || got.Tactics == nil {
			r.t.Errorf("%+v", got)
		}
		f.Columns = json.RawMessage(`{"a":"` + strings.Repeat("x", maxDocument) + `"}`)
		if got := r.raised(f)[0]; got.New || !strings.HasPrefix(r.eventColumns(got.EventID), `{"omitted"`) {
			r.t.Errorf("a large row: %+v", got)
		}
		for sentence, wrong := range map[string]func(*Finding){
			"no host":          func(f *Finding) { f.HostID = 0 },
			"unknown source":   func(f *Finding) { f.Source = "dream" },
			"unknown severity": func(f *Finding) { f.Severity = "warning" },
		} {
			f := finding(1)
			wrong(&f)
			if _, err := r.Raise(r.t.Context(), []Finding{finding(1), f}); !fault.Is(err, fault.Invalid) {
				r.t.Errorf("%s: %v", sentence, err)
			}
		}
		if alerts, _, _, err := r.List(r.t.Context(), Filter{}); err != nil || len(alerts) != 1 {
			r.t.Errorf("afterwards there are %d alerts, %v", len(alerts), err)
		}
	})
}

func (r *rig) eventColumns(id int64) string {
	r.t.Helper()
	event, err := r.FindEvent(r.t.Context(), id)
	r.ok(err)
	return string(event.Columns)
}

func TestRaisingGoesWithItsTransaction(t *testing.T) {
	each(t, func(r *rig) {
		ctx, undo := r.t.Context(), errors.New("undo")
		once := finding(1)
		once.Once = "once"
		err := r.db.Tx(ctx, func(tx *database.DB) error {
			if _, err := r.With(tx).Raise(ctx, []Finding{once}); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) {
			r.t.Fatal(err)
		}
		if got := r.raised(once); len(got) != 1 || !got[0].New {
			r.t.Errorf("after it was undone: %+v", got)
		}
	})
}

// TestManyRaiseAtOnce: however many writers find the same at once, in whatever
// order, one alert of each host and group has every event, and nobody waits for ever.
func TestManyRaiseAtOnce(t *testing.T) {
	each(t, func(r *rig) {
		const writers, rounds, groups = 6, 15, 5
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
		defer cancel()
		var working sync.WaitGroup
		for writer := range writers {
			working.Go(func() {
				for range rounds {
					var findings []Finding
					for i := range groups {
						f := finding(int64(1 + (i+writer)%2))
						f.Group = fmt.Sprintf("rule:%d", (i+writer)%groups)
						f.Once = fmt.Sprintf("%d/%d", writer%2, (i*3+writer)%groups)
						twin := f
						twin.Once = ""
						findings = append(findings, f, twin)
					}
					if _, err := r.Raise(ctx, findings); err != nil {
						r.t.Error(err)
						return
					}
				}
			})
		}
		working.Wait()
		alerts, _, _, err := r.List(ctx, Filter{})
		r.ok(err)
		seen, events := map[string]bool{}, 0
		for _, a := range alerts {
			name := fmt.Sprint(a.HostID, a.Group)
			if seen[name] {
				r.t.Errorf("%s has two alerts", name)
			}
			seen[name] = true
			events += a.EventCount
			if _, count, err := r.Events(ctx, a.ID, Page{Limit: 1}); err != nil || count != a.EventCount {
				r.t.Errorf("%s counts %d events and keeps %d, %v", name, a.EventCount, count, err)
			}
		}
		if want := writers*rounds*groups + 2*groups; events != want {
			r.t.Errorf("%d events of %d", events, want)
		}
	})
}

// TestRaisingHandlingAndPurgingAtOnce: whoever changes alerts while others raise them
// waits, and nobody for ever.
func TestRaisingHandlingAndPurgingAtOnce(t *testing.T) {
	each(t, func(r *rig) {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
		defer cancel()
		const groups, rounds = 8, 20
		var findings []Finding
		for i := range groups {
			f := finding(int64(1 + i%2))
			f.Group = fmt.Sprintf("rule:%d", i)
			findings = append(findings, f)
		}
		backwards := slices.Clone(findings)
		slices.Reverse(backwards)
		var working sync.WaitGroup
		for _, work := range []func() error{
			func() error { _, err := r.Raise(ctx, findings); return err },
			func() error { _, err := r.Raise(ctx, backwards); return err },
			func() error {
				return r.each(ctx, func(ids []int64) error { _, err := r.Resolve(ctx, ids, Note{}); return err })
			},
			func() error {
				return r.each(ctx, func(ids []int64) error {
					slices.Reverse(ids)
					_, err := r.Assign(ctx, ids, "alice", Note{})
					return err
				})
			},
			func() error { return r.Purge(ctx, r.now.Add(time.Second)) },
		} {
			working.Go(func() {
				for range rounds {
					if err := work(); err != nil && !fault.Is(err, fault.NotFound) { // purged meanwhile
						r.t.Error(err)
						return
					}
				}
			})
		}
		working.Wait()
	})
}

// each calls fn with the ids of the alerts that there are.
func (r *rig) each(ctx context.Context, fn func(ids []int64) error) error {
	rows, _, _, err := r.List(ctx, Filter{})
	var ids []int64
	for _, a := range rows {
		ids = append(ids, a.ID)
	}
	if err != nil {
		return err
	}
	return fn(ids)
}
