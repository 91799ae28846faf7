package agenttest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/packs"
	"muster/rules"
	"muster/server/condition"
	"muster/server/matcher"
	"muster/server/osquery"
	"muster/server/sigma"
)

// detector is the rules that ship, compiled as the server does.
type detector struct {
	names   []string // by number of the program's rule
	program *matcher.Program
}

func newDetector(t *testing.T) *detector {
	t.Helper()
	d := &detector{}
	var compiled []matcher.Rule
	for _, r := range rules.All() {
		results, err := sigma.Translate([]byte(r.Text), sigma.DefaultMapping())
		must(t, err)
		for _, v := range results[0].Rule.Variants {
			tree, err := condition.Parse(v.Conditions, sigma.ConditionOptions())
			must(t, err)
			d.names = append(d.names, r.Platform+"/"+r.Name)
			compiled = append(compiled, matcher.Rule{Tree: tree, Tables: v.Tables, Platforms: v.Platforms})
		}
	}
	d.program = matcher.Compile(compiled)
	return d
}

// event is a result line, as far as rules are concerned.
type event struct {
	Name, Action string
	Columns      json.RawMessage
	tables       []string
}

// found names the rules that find one of the events, sorted.
func (d *detector) found(t *testing.T, platform Platform, events []event) []string {
	t.Helper()
	names := map[string]bool{}
	for _, e := range events {
		row := condition.Object{Own: map[string]string{"query_name": e.Name, "action": e.Action}}
		must(t, row.Load(string(e.Columns)))
		failures := d.program.Match(matcher.Event{Tables: e.tables, Platform: string(platform), Row: &row}, func(rule int) {
			names[d.names[rule]] = true
		})
		if len(failures) > 0 {
			t.Errorf("%s: %v", e.Name, failures)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// shippedConfig is a default config with or without the pack security, as the server renders it.
func shippedConfig(t *testing.T, name string, security bool) string {
	t.Helper()
	type file struct {
		Options   map[string]any            `json:"options"`
		Queries   map[string]map[string]any `json:"queries"`
		Filters   map[string]any            `json:"filters"`
		FilePaths map[string]any            `json:"file_paths"`
	}
	read := func(name string) (f file) {
		text, err := packs.Files.ReadFile(name)
		must(t, err)
		must(t, json.Unmarshal(text, &f))
		return f
	}
	config := read("configs/" + name + ".json")
	root := map[string]any{"schedule": config.Queries, "options": config.Options}
	if security {
		pack := read("security.json")
		root["packs"] = map[string]any{"security": map[string]any{"queries": pack.Queries, "file_paths": pack.FilePaths}}
	}
	maps.Copy(root, config.Filters)
	text, err := json.Marshal(root)
	must(t, err)
	return string(text)
}

// hostWith makes a host under a config.
func hostWith(t *testing.T, server *reference, platform Platform, seed int64, config string) (*Agent, *ManualClock) {
	t.Helper()
	server.always("/config", answer{body: config})
	a, clock := server.agent(t, func(o *Options) { o.Platform, o.Seed = platform, seed })
	must(t, a.Enroll(t.Context()))
	must(t, a.FetchConfig(t.Context()))
	return a, clock
}

// logged takes the result lines that wait, and throws them away.
func logged(t *testing.T, a *Agent) []event {
	t.Helper()
	reads := map[string][]string{}
	for _, q := range a.schedule(t.Context()) {
		reads[q.resultName] = osquery.Reads(q.sql)
	}
	var events []event
	for _, line := range a.Buffered() {
		if line.Status {
			continue
		}
		e := event{}
		must(t, json.Unmarshal(line.Raw, &e))
		e.tables = reads[e.Name]
		if len(e.Columns) > 0 { // no snapshot
			events = append(events, e)
		}
	}
	a.mu.Lock()
	a.disk.Buffer = buffer{}
	a.mu.Unlock()
	return events
}

var deep = map[Platform]string{Linux: "linux", Darwin: "darwin", Windows: "windows-deep"}

func TestEveryScenarioIsFoundByTheRulesThatItNames(t *testing.T) {
	d, server := newDetector(t), newReference(t)
	for _, s := range scenarios {
		t.Run(string(s.Platform)+"/"+s.Name, func(t *testing.T) {
			a, _ := hostWith(t, server, s.Platform, 1, shippedConfig(t, deep[s.Platform], s.Platform != Windows))
			lines, err := a.Attack(t.Context(), s.Name)
			must(t, err)
			events := logged(t, a)
			wantEqual(t, "lines", lines, len(events))
			wanted := slices.Sorted(slices.Values(s.Rules))
			if diff := cmp.Diff(wanted, d.found(t, s.Platform, events)); diff != "" {
				t.Errorf("rules that find it (-named +found):\n%s\n%s", diff, events)
			}
			if s.Story == "" || !strings.HasSuffix(s.Story, ".") {
				t.Errorf("its story is %q", s.Story)
			}
		})
	}
}

// What a host does without an attack must not alert anybody, or a demonstration drowns.
func TestHonestHostsAreFoundByNoRule(t *testing.T) {
	d, server := newDetector(t), newReference(t)
	for platform, name := range deep {
		for seed := range int64(3) {
			a, clock := hostWith(t, server, platform, seed, shippedConfig(t, name, platform != Windows))
			for range 6 {
				_, err := a.RunQueries(t.Context())
				must(t, err)
				must(t, clock.Sleep(t.Context(), 7*time.Minute))
			}
			events := logged(t, a)
			if len(events) < 50 {
				t.Errorf("%s: only %d events", platform, len(events))
			}
			if found := d.found(t, platform, events); len(found) > 0 {
				t.Errorf("%s, seed %d: found by %v", platform, seed, found)
			}
		}
	}
}

func TestTheDefaultConfigsShowAnAttackToo(t *testing.T) {
	server := newReference(t)
	for platform, name := range map[Platform]string{Linux: "linux", Darwin: "darwin", Windows: "windows"} {
		a, _ := hostWith(t, server, platform, 1, shippedConfig(t, name, false))
		possible := 0
		for _, s := range Scenarios(platform) {
			if lines, err := a.Attack(t.Context(), s.Name); err == nil && lines > 0 {
				possible++
			}
		}
		if possible == 0 {
			t.Errorf("%s: none", platform)
		}
	}
}

func TestAnAttackThatCannotBeShownSaysWhyAndLogsNothing(t *testing.T) {
	a, _ := hostWith(t, newReference(t), Linux, 1, shippedConfig(t, "linux", false))
	for name, want := range map[string]string{
		"no-such":    `there is no scenario "no-such" for linux`,
		"ransomware": `there is no scenario "ransomware" for linux`,
		"web-shell":  "scenario web-shell: no scheduled query reads process_events",
	} {
		lines, err := a.Attack(t.Context(), name)
		if err == nil || err.Error() != want || lines != 0 {
			t.Errorf("%s: %d lines, %v", name, lines, err)
		}
	}
	wantEqual(t, "lines", len(logged(t, a)), 0)
	wantEqual(t, "attacks", a.Stats().Attacks, 0)
	a.Kill()
	if _, err := a.Attack(t.Context(), "second-root"); err == nil {
		t.Error("a dead agent can be attacked")
	}
}

// The programs of a scenario are a tree: the parent's id, path and command line fit.
func TestProgramsOfAScenarioStartOneAnother(t *testing.T) {
	a, _ := hostWith(t, newReference(t), Linux, 1, shippedConfig(t, "linux", true))
	_, err := a.Attack(t.Context(), "web-shell")
	must(t, err)
	type columns struct {
		PID        string `json:"pid"`
		Parent     string `json:"parent"`
		Path       string `json:"path"`
		ParentPath string `json:"parent_path"`
		Username   string `json:"username"`
	}
	byPID := map[string]columns{}
	var hidden columns
	for _, e := range logged(t, a) {
		var c columns
		must(t, json.Unmarshal(e.Columns, &c))
		if slices.Contains(e.tables, "process_events") {
			byPID[c.PID] = c
		}
		if c.Path == "/dev/shm/.font-unix" && c.Parent != "" {
			hidden = c
		}
	}
	wantEqual(t, "programs", len(byPID), 3)
	wantEqual(t, "its parent", byPID[hidden.Parent].Path, "/usr/bin/dash")
	wantEqual(t, "the path of its parent", hidden.ParentPath, "/usr/bin/dash")
	wantEqual(t, "the path of the parent's parent", byPID[hidden.Parent].ParentPath, "/usr/sbin/php-fpm8.2")
	wantEqual(t, "user", hidden.Username, "www-data")
}

func TestAttacksComeNowAndThenAndFollowFromTheSeed(t *testing.T) {
	attacks := func(seed int64) string {
		server := newReference(t)
		clock := NewManualClock(start)
		server.always("/config", answer{body: shippedConfig(t, "linux", true)})
		a, _ := server.agent(t, func(o *Options) { o.Seed, o.Clock, o.Attacks = seed, clock, time.Hour })
		must(t, a.Enroll(t.Context()))
		must(t, a.FetchConfig(t.Context()))
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go a.attackLoop(ctx)
		var shown strings.Builder
		for n := range int64(6) {
			must(t, clock.BlockUntil(ctx, 1))
			wantEqual(t, "attacks", a.Stats().Attacks, n)
			for _, e := range logged(t, a) {
				fmt.Fprintf(&shown, "%s %s\n", e.Name, e.Columns)
			}
			clock.Advance(90 * time.Minute)
		}
		for _, wait := range clock.Slept() {
			if wait < 30*time.Minute || wait >= 90*time.Minute {
				t.Errorf("the next attack came after %s", wait)
			}
		}
		return shown.String()
	}
	first := attacks(1)
	if diff := cmp.Diff(first, attacks(1)); diff != "" || first == "" {
		t.Errorf("the same seed shows something else: %s", diff)
	}
	if first == attacks(2) {
		t.Error("another seed shows the same")
	}
}
