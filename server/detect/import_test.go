package detect

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/sigma"
)

// document is a Sigma rule for started programs on Linux.
func document(id, title, image string, more ...string) string {
	return fmt.Sprintf("title: %s\nid: %s\nstatus: test\nlevel: high\ntags: [attack.execution, attack.t1059.004]\n%slogsource: {category: process_creation, product: linux}\n"+
		"detection:\n  selection:\n    Image|endswith: %s\n  condition: selection\n", title, id, strings.Join(more, ""), image)
}

func imports(t *testing.T, s *Store, text string, o ImportOptions) ImportReport {
	t.Helper()
	report, err := s.Import(t.Context(), []byte(text), o)
	ok(t, err)
	ok(t, s.Refresh(t.Context()))
	return report
}

func TestSigmaRulesAreImported(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		added(t, s, "taken", where("a", "equal", "b"))
		text := strings.Join([]string{
			document("11111111-0000-4000-8000-000000000000", "Shell", "/sh"),
			document("22222222-0000-4000-8000-000000000000", "Shell", "/bash"),
			document("33333333-0000-4000-8000-000000000000", "taken", "/zsh"),
			"title: Cloud\nid: 4\nlogsource: {product: aws}\ndetection:\n  a: {eventName: x}\n  condition: a\n",
			"title: Broken\nid: 5\nlogsource: {category: process_creation, product: linux}\ndetection:\n  a: {Image: x}\n  condition: b\n",
			document("11111111-0000-4000-8000-000000000000", "Again", "/sh"),
		}, "---\n")
		dry := imports(t, s, text, ImportOptions{File: "a.yml", DryRun: true})
		if rules, _, _, err := s.List(t.Context(), Filter{}); err != nil || len(rules) != 1 {
			t.Fatalf("a dry run stored %v, %v", rules, err)
		}
		report := imports(t, s, text, ImportOptions{File: "a.yml", Username: "ann"})
		named := func(report ImportReport) (all string) {
			for kind, list := range map[string][]ImportedRule{"imported": report.Imported, "updated": report.Updated, "unchanged": report.Unchanged} {
				for _, r := range list {
					all += fmt.Sprintln(kind, r.Name, r.Tables)
				}
			}
			for kind, list := range map[string][]RefusedRule{"not applicable": report.NotApplicable, "failed": report.Failed} {
				for _, r := range list {
					all += fmt.Sprintln(kind, r.Name, r.File, r.Line)
				}
			}
			return strings.Join(sortedLines(all), "\n")
		}
		want := strings.Join([]string{
			"failed Again a.yml 47", "failed Broken a.yml 46", "imported Shell (22222222) [process_events]", "imported Shell [process_events]",
			"imported taken (33333333) [process_events]", "not applicable Cloud a.yml 33",
		}, "\n")
		if diff := cmp.Diff(want, named(report)); diff != "" {
			t.Error(diff, report)
		}
		if diff := cmp.Diff(want, named(dry)); diff != "" {
			t.Error("the dry run says", diff)
		}
		if dry.Imported[0].ID != 0 || report.Imported[0].ID == 0 {
			t.Errorf("%+v, %+v", dry.Imported, report.Imported)
		}
		if got := names(t, s, event(t, `{"path":"/bin/sh"}`)); got != "Shell" {
			t.Errorf("%q", got)
		}
		r, err := s.Find(t.Context(), report.Imported[0].ID)
		ok(t, err)
		if r.Severity != Warning || r.Status != Active || r.Type != "MITRE" || r.TechniqueIDs[0] != "T1059.004" || r.Tactics[0] != "execution" || r.Username != "ann" ||
			r.Problem != "" || !strings.Contains(string(r.Conditions), "/sh") || !strings.HasPrefix(r.Source, "title: Shell") {
			t.Errorf("%+v", r)
		}
		if r, err = s.Find(t.Context(), report.Imported[1].ID); err != nil || !strings.HasPrefix(r.Source, "title: Shell") {
			t.Errorf("the mark between two documents is part of %q", r.Source)
		}
		if again := imports(t, s, text, ImportOptions{}); len(again.Unchanged) != 3 || len(again.Imported)+len(again.Updated) != 0 {
			t.Errorf("%+v", again)
		}
	})
}

func sortedLines(text string) []string {
	return sorted(strings.Split(strings.TrimSpace(text), "\n"))
}

func TestAnImportKeepsWhatPeopleChanged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		ctx := t.Context()
		id := imports(t, s, document("1", "Shell", "/sh"), ImportOptions{Status: "inactive"}).Imported[0].ID
		mine, err := s.Find(ctx, id)
		ok(t, err)
		if mine.Status != Inactive {
			t.Errorf("it is %s", mine.Status)
		}
		_, _, err = s.Update(ctx, id, func(r *Rule) error {
			r.Severity, r.Status, r.Alerters = Critical, Active, []string{"email"}
			return nil
		})
		ok(t, err)
		report := imports(t, s, document("1", "Shells", "/bash", "description: better\n"), ImportOptions{Username: "bob"})
		if len(report.Updated) != 1 || report.Updated[0].ID != id {
			t.Fatalf("%+v", report)
		}
		r, err := s.Find(ctx, id)
		ok(t, err)
		if r.Name != "Shells" || r.Description != "better" || r.Severity != Critical || r.Status != Active || r.Alerters[0] != "email" || r.Username != "bob" {
			t.Errorf("%+v", r)
		}
		if got := names(t, s, event(t, `{"path":"/bin/bash"}`)); got != "Shells" {
			t.Errorf("%q", got)
		}

		// Other conditions make it a rule of the query builder, which no import touches.
		_, after, err := s.Update(ctx, id, func(r *Rule) error { r.Conditions = where("path", "equal", "/bin/zsh"); return nil })
		ok(t, err)
		if after.Source != "" || after.SigmaID != "" {
			t.Errorf("%+v", after)
		}
		report = imports(t, s, document("1", "Shells", "/bash"), ImportOptions{})
		if len(report.Imported) != 1 || report.Imported[0].ID == id || report.Imported[0].Name != "Shells (1)" {
			t.Errorf("%+v", report)
		}
	})
}

func TestASigmaRuleIsAboutItsTableAndPlatform(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		imports(t, s, document("1", "Shell", "/sh"), ImportOptions{})
		for sentence, c := range map[string]struct {
			change func(*Event)
			want   string
		}{
			"a distribution is Linux":   {func(e *Event) { e.Platform = "ubuntu" }, "Shell"},
			"another platform":          {func(e *Event) { e.Platform = "darwin" }, ""},
			"another table":             {func(e *Event) { e.Tables = []string{"processes"} }, ""},
			"one of several tables":     {func(e *Event) { e.Tables = []string{"users", "process_events"} }, "Shell"},
			"no table is known":         {func(e *Event) { e.Tables = nil }, ""},
			"a row of a whole snapshot": {func(e *Event) { e.Action = "snapshot" }, "Shell"},
		} {
			e := event(t, `{"path":"/bin/sh"}`)
			c.change(&e)
			if got := names(t, s, e); got != c.want {
				t.Errorf("%s: %q", sentence, got)
			}
		}
	})
}

func TestAMappingThatFitsNoMoreKeepsTheRule(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := newLoaded(t, db)
		imports(t, s, document("1", "Shell", "/sh"), ImportOptions{})
		added(t, s, "other", where("path", "contains", "sh"))
		mapping, err := sigma.ParseMapping([]byte("targets:\n- for: [{category: file_event}]\n  tables: [file_events]\n  fields: {TargetFilename: target_path}\n"))
		ok(t, err)
		elsewhere := New(db, bus.NewMemory(), quiet(t), Options{Now: c.now, Shipped: none, Mapping: mapping})
		ok(t, elsewhere.Load(t.Context()))
		if got := names(t, elsewhere, event(t, `{"path":"/bin/sh"}`)); got != "other" {
			t.Errorf("%q", got)
		}
		rules, _, _, err := elsewhere.List(t.Context(), Filter{})
		ok(t, err)
		if !strings.HasPrefix(rules[0].Problem, "not applicable: line ") || rules[1].Problem != "" || string(rules[0].Conditions) != "{}" {
			t.Errorf("%+v", rules)
		}
		if st := elsewhere.Stats(); st.Rules != 1 || st.Broken != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestShippedRulesAreInstalledAndKeptUpToDate(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		start := func(files map[string]string) map[string]Rule {
			t.Helper()
			shipped := fstest.MapFS{}
			for name, text := range files {
				shipped[name] = &fstest.MapFile{Data: []byte(text)}
			}
			s := New(db, bus.NewMemory(), quiet(t), Options{Shipped: shipped})
			ok(t, s.Load(ctx))
			rules, _, _, err := s.List(ctx, Filter{})
			ok(t, err)
			byFile := map[string]Rule{}
			for _, r := range rules {
				byFile[r.Shipped] = r
			}
			return byFile
		}
		trial := strings.Replace(document("4", "Trial", "/trial"), "status: test", "status: experimental", 1)
		first := map[string]string{"linux/a.yml": document("1", "A", "/a"), "linux/b.yml": document("2", "B", "/b"), "linux/c.yml": document("3", "C", "/c"), "linux/d.yml": trial, "linux/e.yml": "title: no rule"}
		rules := start(first)
		if len(rules) != 4 || rules["linux/a"].Status != Active || rules["linux/a"].Severity != Warning || rules["linux/d"].Status != Inactive {
			t.Fatalf("%+v", rules)
		}
		s := New(db, bus.NewMemory(), quiet(t), Options{})
		_, _, err := s.Update(ctx, rules["linux/a"].ID, func(r *Rule) error { r.Status, r.Alerters = Inactive, []string{"email"}; return nil })
		ok(t, err)
		_, _, err = s.Update(ctx, rules["linux/b"].ID, func(r *Rule) error { r.Conditions = where("a", "equal", "b"); return nil })
		ok(t, err)
		_, err = s.Delete(ctx, rules["linux/c"].ID)
		ok(t, err)

		if again := start(first); len(again) != 3 || !again["linux/a"].Updated.Equal(mustFind(t, s, rules["linux/a"].ID).Updated) {
			t.Errorf("a second start: %+v", again)
		}
		next := map[string]string{}
		for name, text := range first {
			next[name] = strings.Replace(text, "level: high", "level: critical", 1) + "falsepositives: [x]\n"
		}
		rules = start(next)
		a, b, d := rules["linux/a"], rules["linux/b"], rules["linux/d"]
		if len(rules) != 3 || a.Severity != Critical || a.Status != Inactive || a.Alerters[0] != "email" || !strings.Contains(a.Source, "falsepositives") {
			t.Errorf("an update: %+v", rules)
		}
		if b.Severity != Warning || b.Source != "" || d.Severity != Critical || d.Status != Inactive {
			t.Errorf("an update: %+v, %+v", b, d)
		}
	})
}

func mustFind(t *testing.T, s *Store, id int64) Rule {
	t.Helper()
	r, err := s.Find(t.Context(), id)
	ok(t, err)
	return r
}

func TestAnImportIsBounded(t *testing.T) {
	s, _ := newLoaded(t, dbtest.Open(t, database.SQLite))
	if _, err := s.Import(t.Context(), make([]byte, MaxImport+1), ImportOptions{}); !fault.Is(err, fault.Unprocessable) {
		t.Error(err)
	}
	if _, err := s.Import(t.Context(), nil, ImportOptions{Status: "on"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	ok(t, s.db.Write(t.Context()).Exec(`INSERT INTO rules (name, severity, status, type, created_at, updated_at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT 'rule ' || i, 'INFO', 'INACTIVE', 'x', 0, 0 FROM n`, maxRules-1).Error)
	report, err := s.Import(t.Context(), []byte(document("1", "A", "/a")+"---\n"+document("2", "B", "/b")), ImportOptions{})
	if err != nil || len(report.Imported) != 1 || len(report.Failed) != 1 || !strings.Contains(report.Failed[0].Reason, "20000 rules already") {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := s.Add(t.Context(), Rule{Name: "one more", Conditions: where("a", "equal", "b")}); !fault.Is(err, fault.Unprocessable) {
		t.Error(err)
	}
}
