package detect

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

var exported = cmpopts.IgnoreUnexported(Rule{})

func TestARuleIsStoredInItsForm(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := newLoaded(t, db)
		got, err := s.Add(t.Context(), Rule{
			Name: " Shells ", Severity: "critical", Status: "inactive", TechniqueIDs: []string{"t1059.004; T1070", "T1059.004"}, Alerters: []string{" email ,debug", "email"},
			Conditions: json.RawMessage(`{ "condition": "and", "valid": true, "rules": [{"field":"action","operator":"equal","value":"added","id":"action"}] }`), Username: "ann",
		})
		ok(t, err)
		want := Rule{
			ID: got.ID, Name: "Shells", Severity: Critical, Status: Inactive, Type: "MITRE", TechniqueIDs: []string{"T1059.004", "T1070"},
			Tactics: []string{"execution", "defense-evasion"}, Alerters: []string{"email", "debug"}, Username: "ann",
			Conditions:   json.RawMessage(`{"condition":"and","valid":true,"rules":[{"field":"action","operator":"equal","value":"added","id":"action"}]}`),
			ReconQueries: json.RawMessage("{}"), Created: noon, Updated: noon,
		}
		if diff := cmp.Diff(want, got, exported); diff != "" {
			t.Error(diff)
		}
		if found, err := s.Find(t.Context(), got.ID); err != nil || cmp.Diff(want, found, exported) != "" {
			t.Error(err, cmp.Diff(want, found, exported))
		}

		c.pass(time.Hour)
		before, after, err := s.Update(t.Context(), got.ID, func(r *Rule) error {
			r.Status, r.Type, r.Tactics = "", "custom", []string{"impact, persistence"}
			return nil
		})
		ok(t, err)
		if diff := cmp.Diff(want, before, exported); diff != "" {
			t.Error(diff)
		}
		want.Status, want.Type, want.Tactics, want.Updated = Active, "custom", []string{"impact", "persistence"}, noon.Add(time.Hour)
		if diff := cmp.Diff(want, after, exported); diff != "" {
			t.Error(diff)
		}

		gone, err := s.Delete(t.Context(), got.ID)
		if err != nil || cmp.Diff(want, gone, exported) != "" {
			t.Error(err, cmp.Diff(want, gone, exported))
		}
		for what, err := range map[string]error{
			"find":   second(s.Find(t.Context(), got.ID)),
			"delete": second(s.Delete(t.Context(), got.ID)),
			"update": third(s.Update(t.Context(), got.ID, func(*Rule) error { return nil })),
		} {
			if !fault.Is(err, fault.NotFound) || fault.Public(err) != "Rule with this id does not exist" {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestARuleThatIsRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		other := added(t, s, "other", where("a", "equal", "b"))
		fine := Rule{Name: "fine", Conditions: where("a", "equal", "b")}
		for sentence, c := range map[string]struct {
			change func(*Rule)
			kind   fault.Kind
			says   string
		}{
			"without a name":         {func(r *Rule) { r.Name = " " }, fault.Invalid, "name of a rule must not be empty"},
			"a name of two lines":    {func(r *Rule) { r.Name = "a\nb" }, fault.Unprocessable, "in one line"},
			"a name that is taken":   {func(r *Rule) { r.Name = " other" }, fault.Conflict, "Rule with the name other already exists!"},
			"another severity":       {func(r *Rule) { r.Severity = "HIGH" }, fault.Invalid, "severity of a rule is one of INFO, LOW, WARNING, CRITICAL"},
			"another status":         {func(r *Rule) { r.Status = "on" }, fault.Invalid, "status of a rule is one of ACTIVE, INACTIVE"},
			"no technique":           {func(r *Rule) { r.TechniqueIDs = []string{"T1"} }, fault.Invalid, `technique_id: "T1" is no technique id`},
			"conditions of no kind":  {func(r *Rule) { r.Conditions = json.RawMessage(`[]`) }, fault.Invalid, "conditions must be a JSON object"},
			"no conditions":          {func(r *Rule) { r.Conditions = nil }, fault.Invalid, "conditions must be a JSON object"},
			"an unknown operator":    {func(r *Rule) { r.Conditions = where("a", "is", "b") }, fault.Invalid, "Unsupported operator: is"},
			"a value that is wrong":  {func(r *Rule) { r.Conditions = where("a", "less", "b") }, fault.Unprocessable, "rules[0].value must be a number"},
			"too large":              {func(r *Rule) { r.Description = strings.Repeat("x", 65<<10) }, fault.Unprocessable, "at most 64 KiB"},
			"text that is no UTF-8":  {func(r *Rule) { r.Description = "\xff" }, fault.Unprocessable, "at most 64 KiB of text"},
			"recon queries, no JSON": {func(r *Rule) { r.ReconQueries = json.RawMessage("x") }, fault.Invalid, "recon_queries must be a JSON object"},
		} {
			t.Run(sentence, func(t *testing.T) {
				r := fine
				c.change(&r)
				_, err := s.Add(t.Context(), r)
				if !fault.Is(err, c.kind) || !strings.Contains(fault.Public(err), c.says) {
					t.Errorf("added: %v", err)
				}
				mine := added(t, s, "mine", where("a", "equal", "b"))
				_, _, err = s.Update(t.Context(), mine.ID, func(r *Rule) error { c.change(r); return nil })
				if !fault.Is(err, c.kind) || !strings.Contains(fault.Public(err), c.says) {
					t.Errorf("changed: %v", err)
				}
				_, err = s.Delete(t.Context(), mine.ID)
				ok(t, err)
			})
		}
		rules, _, _, err := s.List(t.Context(), Filter{})
		if err != nil || len(rules) != 1 || rules[0].ID != other.ID {
			t.Errorf("%v, %v", rules, err)
		}
	})
}

func TestRulesAreListed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := newLoaded(t, db)
		ids := map[string]int64{}
		for _, r := range []Rule{
			{Name: "b", Severity: Critical, TechniqueIDs: []string{"T1059.001"}}, {Name: "c", Status: Inactive, Description: "50% of C"}, {Name: "a", Type: "Custom"},
		} {
			r.Conditions = where("x", "equal", "y")
			stored, err := s.Add(t.Context(), r)
			ok(t, err)
			ids[r.Name] = stored.ID
		}
		for sentence, c := range map[string]struct {
			filter Filter
			want   string
			count  int
		}{
			"by name":                      {Filter{}, "a b c", 3},
			"a page":                       {Filter{Start: 1, Limit: 1}, "b", 3},
			"a page beyond the end":        {Filter{Start: 9, Limit: 1}, "", 3},
			"those with open alerts first": {Filter{First: map[int64]int{ids["c"]: 5, ids["b"]: 1}}, "c b a", 3},
			"the severity is searched":     {Filter{Search: " critical "}, "b", 1},
			"the status is searched":       {Filter{Search: "INACTIVE"}, "c", 1},
			"the description is searched":  {Filter{Search: "50% OF"}, "c", 1},
			"the type is searched":         {Filter{Search: "custom"}, "a", 1},
			"the techniques are searched":  {Filter{Search: "t1059"}, "b", 1},
			"a wildcard is none":           {Filter{Search: "_"}, "", 0},
		} {
			t.Run(sentence, func(t *testing.T) {
				rules, count, total, err := s.List(t.Context(), c.filter)
				got := []string{}
				for _, r := range rules {
					got = append(got, r.Name)
				}
				if err != nil || strings.Join(got, " ") != c.want || count != c.count || total != 3 {
					t.Errorf("%v, %d of %d, %v", got, count, total, err)
				}
			})
		}
	})
}
