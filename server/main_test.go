package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files and docs/configuration.md again")

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is out of date: run go test ./server -run %s -update\n\n%s", file, t.Name(), got)
	}
}

// session runs a command as at a terminal that nobody sits at.
type session struct {
	in, out, err bytes.Buffer
	environ      []string
}

func (s *session) terminal() terminal { return terminal{in: &s.in, out: &s.out, err: &s.err} }

func (s *session) run(ctx context.Context, args ...string) int {
	return run(ctx, s.terminal(), args, s.environ)
}

func TestReference(t *testing.T) {
	var text bytes.Buffer
	writeReference(&text)
	golden(t, "../docs/configuration.md", text.String())
}

func TestHelp(t *testing.T) {
	var overview session
	if status := overview.run(t.Context(), "help"); status != exitOK {
		t.Fatalf("exit %d", status)
	}
	golden(t, "testdata/help/muster.txt", overview.out.String())
	for _, c := range commands() {
		var asked, helped session
		if status := asked.run(t.Context(), c.name, "--help"); status != exitOK {
			t.Errorf("%s --help: exit %d", c.name, status)
		}
		helped.run(t.Context(), "help", c.name)
		if asked.out.String() != helped.out.String() {
			t.Errorf("muster help %s and muster %s --help differ", c.name, c.name)
		}
		golden(t, "testdata/help/"+c.name+".txt", asked.out.String())
	}
}

func TestCommandLine(t *testing.T) {
	for sentence, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"an unknown command is a usage error":  {[]string{"serv"}, exitUsage, `there is no command "serv"`},
		"an unknown flag is one too":           {[]string{"user", "list", "--colour"}, exitUsage, "-colour"},
		"a secret is no flag":                  {[]string{"serve", "--admin-password", "x"}, exitUsage, "admin-password"},
		"a setting of another command is none": {[]string{"user", "list", "--listen", ":1"}, exitUsage, "listen"},
		"a wrong setting is one":               {[]string{"serve", "--listen", "x"}, exitUsage, "listen"},
		"flags alone are for the server":       {[]string{"--listen", "x"}, exitUsage, "listen"},
		"help takes no unknown command":        {[]string{"help", "x"}, exitUsage, `"x"`},
		"serve takes no arguments":             {[]string{"serve", "now"}, exitUsage, `"now"`},
		"an action that is none":               {[]string{"user", "remove", "x"}, exitUsage, "muster user --help"},
		"a secret's action without its name":   {[]string{"secret", "add"}, exitUsage, "muster secret --help"},
		"the version is told":                  {[]string{"--version"}, exitOK, ""},
		"help comes first":                     {[]string{"-h"}, exitOK, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := session{environ: []string{"MUSTER_DATA=" + t.TempDir()}}
			if status := s.run(t.Context(), c.args...); status != c.status {
				t.Errorf("exit %d, want %d: %s", status, c.status, s.err.String())
			}
			if !strings.Contains(s.err.String(), c.says) {
				t.Errorf("%q does not say %q", s.err.String(), c.says)
			}
		})
	}
}

func TestParseInterspersed(t *testing.T) {
	for sentence, c := range map[string]struct {
		args, rest []string
		value      string
	}{
		"flags before":                 {[]string{"--v", "1", "a", "b"}, []string{"a", "b"}, "1"},
		"flags after":                  {[]string{"a", "--v=1"}, []string{"a"}, "1"},
		"flags between":                {[]string{"a", "-v", "1", "b"}, []string{"a", "b"}, "1"},
		"after -- all are arguments":   {[]string{"a", "--", "--v", "1"}, []string{"a", "--v", "1"}, ""},
		"a lone dash is an argument":   {[]string{"-", "--v", "1"}, []string{"-"}, "1"},
		"nothing is nothing":           {nil, nil, ""},
		"the last of two flags counts": {[]string{"--v", "1", "--v", "2"}, nil, "2"},
	} {
		t.Run(sentence, func(t *testing.T) {
			set := flag.NewFlagSet("", flag.ContinueOnError)
			value := set.String("v", "", "")
			rest, err := parseInterspersed(set, c.args)
			if err != nil || !slices.Equal(rest, c.rest) || *value != c.value {
				t.Errorf("got %q and v=%q, %v", rest, *value, err)
			}
		})
	}
}

func TestEverySettingIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings {
		if seen[s.name] || s.help == "" || s.kind == "" || s.section == "" || len(s.commands) == 0 {
			t.Errorf("%s is there twice or lacks something", s.name)
		}
		seen[s.name] = true
		if s.secret && s.fallback != "" {
			t.Errorf("%s is a secret with a default", s.name)
		}
	}
}
