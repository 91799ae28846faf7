package yara

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/hosts"
)

const rule = "rule one { condition: true }\n"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, db *database.DB, hints bus.Bus) *Store {
	t.Helper()
	s := New(db, hints, slog.New(slog.DiscardHandler), Options{Now: func() time.Time { return noon }})
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *Store, f NewFile) File {
	t.Helper()
	added, err := s.Add(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func names(files []File) string {
	var all []string
	for _, f := range files {
		all = append(all, f.Name)
	}
	return strings.Join(all, " ")
}

func TestAddRefusesWhatIsNoFileOfRules(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := open(t, db, bus.NewMemory())
		for sentence, c := range map[string]struct {
			file NewFile
			kind fault.Kind
			says string
		}{
			"another extension":             {NewFile{Name: "a.txt", Content: rule}, fault.Unprocessable, "Please upload only yara(.yara/.yar) files!"},
			"no extension":                  {NewFile{Name: "yara", Content: rule}, fault.Unprocessable, "Please upload only"},
			"an extension behind the right": {NewFile{Name: "a.yara.sh", Content: rule}, fault.Unprocessable, "Please upload only"},
			"an extension alone":            {NewFile{Name: "../.yar", Content: rule}, fault.Unprocessable, "name"},
			"a hidden file":                 {NewFile{Name: ".a.yar", Content: rule}, fault.Unprocessable, "name"},
			"dots alone":                    {NewFile{Name: "...yar", Content: rule}, fault.Unprocessable, "name"},
			"a name with spaces":            {NewFile{Name: "a b.yar", Content: rule}, fault.Unprocessable, "name"},
			"a name with a line end":        {NewFile{Name: "a\nb.yar", Content: rule}, fault.Unprocessable, "name"},
			"a name that is too long":       {NewFile{Name: strings.Repeat("a", 97) + ".yar", Content: rule}, fault.Unprocessable, "at most 100"},
			"nothing":                       {NewFile{Name: "a.yar", Content: " \n"}, fault.Unprocessable, "empty"},
			"no rule":                       {NewFile{Name: "a.yar", Content: "// nothing\n"}, fault.Unprocessable, "no rule"},
			"bytes that are no text":        {NewFile{Name: "a.yar", Content: rule + "\xff\xfe"}, fault.Unprocessable, "UTF-8"},
			"a NUL":                         {NewFile{Name: "a.yar", Content: rule + "\x00"}, fault.Unprocessable, "UTF-8"},
			"too much":                      {NewFile{Name: "a.yar", Content: rule + strings.Repeat(" ", MaxContent)}, fault.Unprocessable, "larger"},
			"wrong syntax":                  {NewFile{Name: "a.yar", Content: "rule a {\n condition: }\n"}, fault.Unprocessable, "line 2: syntax error"},
			"each error with its line":      {NewFile{Name: "a.yar", Content: "rule a { condition: x }\nrule b { condition: y }"}, fault.Unprocessable, `line 1: undefined identifier "x"; line 2: undefined identifier "y"`},
			"a file of the server":          {NewFile{Name: "a.yar", Content: "include \"/etc/passwd\"\n" + rule}, fault.Unprocessable, "line 1: includes are disabled"},
			"external variables":            {NewFile{Name: "a.yar", Content: `rule a { condition: filename == "x" }`}, fault.Unprocessable, `undefined identifier "filename"`},
			"a comment without an end":      {NewFile{Name: "a.yar", Content: rule + "\n/* open"}, fault.Unprocessable, "line 3: the comment has no end"},
			"a rule twice":                  {NewFile{Name: "a.yar", Content: rule + rule}, fault.Unprocessable, `line 2: duplicated identifier "one"`},
			"a tag with a comma":            {NewFile{Name: "a.yar", Content: rule, Tags: []string{"a,b"}}, fault.Invalid, "Tag"},
			"a file that is there":          {NewFile{Name: "EICAR.yara", Content: rule}, fault.Conflict, "This file already exists"},
		} {
			t.Run(sentence, func(t *testing.T) {
				_, err := s.Add(t.Context(), c.file)
				if !fault.Is(err, c.kind) || !strings.Contains(fault.Public(err), c.says) {
					t.Errorf("got %v, want %s that says %q", err, c.kind, c.says)
				}
			})
		}
		files, err := s.List(t.Context())
		if err != nil || names(files) != "eicar.yara" {
			t.Errorf("stored: %s %v", names(files), err)
		}
	})
}

func TestErrorsAreBounded(t *testing.T) {
	verdict, err := Here(t.Context(), strings.Repeat("rule a { condition: "+strings.Repeat("x", 120)+" }\n", 100))
	if err != nil || len(verdict.Errors) != maxErrors {
		t.Errorf("%d errors, %v", len(verdict.Errors), err)
	}
}

func TestFilesAreKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := open(t, db, bus.NewMemory())
		added := add(t, s, NewFile{Name: `C:\rules\My-Rules.YAR`, Content: "\uFEFF" + rule, Username: "ann", Tags: []string{"lab", "web"}})
		if added.Name != "my-rules.yar" || added.Rules != 1 || added.Username != "ann" || len(added.Tags) != 2 || added.SHA256 != digest(rule) || len(added.Token) < 26 {
			t.Errorf("added %+v", added)
		}
		again := add(t, s, NewFile{Name: "my-rules.yar", Content: rule + "rule two { condition: false }", Replace: true})
		if again.Token != added.Token || again.ID != added.ID || again.Rules != 2 || len(again.Tags) != 2 || again.SHA256 == added.SHA256 {
			t.Errorf("replaced by %+v", again)
		}
		found, err := s.Find(t.Context(), "../MY-RULES.yar")
		if err != nil || found.Content != rule+"rule two { condition: false }" {
			t.Errorf("found %+v, %v", found, err)
		}
		for _, unknown := range []string{"other.yar", "", "passwd", "../../etc/passwd"} {
			if _, err := s.Find(t.Context(), unknown); !fault.Is(err, fault.NotFound) {
				t.Errorf("%q: %v", unknown, err)
			}
		}
		if _, err := s.Delete(t.Context(), "my-rules.yar"); err != nil {
			t.Error(err)
		}
		if _, err := s.Delete(t.Context(), "my-rules.yar"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if add(t, s, NewFile{Name: "my-rules.yar", Content: rule}).Token == added.Token {
			t.Error("a new file has the address of the one before")
		}
	})
}

func TestTagsSayWhoGetsAFile(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := open(t, db, bus.NewMemory())
		web := add(t, s, NewFile{Name: "web.yar", Content: "rule web { condition: true }", Tags: []string{"web"}})
		add(t, s, NewFile{Name: "db.yar", Content: "rule db { condition: true }", Tags: []string{"db"}})
		host := &hosts.Host{TagIDs: []int64{web.Tags[0].ID}}
		if got := names(s.ForHost(host)); got != "eicar.yara web.yar" {
			t.Errorf("the host gets %s", got)
		}
		if got := names(s.ForHost(&hosts.Host{})); got != "eicar.yara" {
			t.Errorf("a host without tags gets %s", got)
		}
		for sentence, c := range map[string]struct {
			token, name string
			host        *hosts.Host
			found       bool
		}{
			"the token is enough":       {web.Token, "web.yar", nil, true},
			"a host with the tag":       {web.Token, "web.yar", host, true},
			"a host without it":         {web.Token, "web.yar", &hosts.Host{}, false},
			"the token of another file": {web.Token, "db.yar", nil, false},
			"a token that is none":      {"x", "web.yar", nil, false},
			"no token":                  {"", "web.yar", nil, false},
		} {
			text, err := s.Fetch(t.Context(), c.token, c.name, c.host)
			if (err == nil) != c.found || (err != nil && !fault.Is(err, fault.NotFound)) || (c.found && !strings.Contains(string(text), "rule web")) {
				t.Errorf("%s: %s %v", sentence, text, err)
			}
		}
		if f, err := s.AddTags(t.Context(), "db.yar", []string{"web"}); err != nil || len(f.Tags) != 2 {
			t.Errorf("%+v %v", f, err)
		}
		tagged, err := s.ListTagged(t.Context(), host.TagIDs)
		if err != nil || names(tagged) != "db.yar web.yar" {
			t.Errorf("tagged: %s %v", names(tagged), err)
		}
		if _, err := s.RemoveTag(t.Context(), "db.yar", "lab"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if _, err := s.RemoveTag(t.Context(), "db.yar", "web"); err != nil {
			t.Error(err)
		}
		if got := names(s.ForHost(host)); got != "eicar.yara web.yar" {
			t.Errorf("the host gets %s", got)
		}
	})
}

func TestAnotherReplicaSeesItByTheHint(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		hints := bus.NewMemory()
		here, there := open(t, db, hints), open(t, db, hints)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); there.Run(ctx) }()
		defer func() { stop(); <-done }()
		f := add(t, here, NewFile{Name: "a.yar", Content: rule})
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			hints.Publish(topic) // Run may not have subscribed before
			if _, err := there.Fetch(t.Context(), f.Token, f.Name, nil); err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("it never came")
			}
		}
	})
}

func TestReplicasStartAtTheSameTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		var starting sync.WaitGroup
		for range 8 {
			starting.Go(func() {
				if err := New(db, bus.NewMemory(), slog.New(slog.DiscardHandler), Options{}).Load(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		starting.Wait()
	})
}

func TestAFileWaitsForOthersOnlySoLong(t *testing.T) {
	s := open(t, dbtest.Open(t, database.SQLite), bus.NewMemory())
	s.wait = time.Millisecond
	s.compiling <- struct{}{}
	if _, err := s.Add(t.Context(), NewFile{Name: "a.yar", Content: rule}); !fault.Is(err, fault.Busy) {
		t.Error(err)
	}
	<-s.compiling
	add(t, s, NewFile{Name: "a.yar", Content: rule})
}

// Anybody can send a token that is none, so that must not cost a look at the database each time.
func TestUnknownTokensAreLookedUpOnceInAWhile(t *testing.T) {
	var said strings.Builder
	db, now := dbtest.Open(t, database.SQLite), noon
	s := New(db, bus.NewMemory(), slog.New(slog.NewTextHandler(&said, nil)), Options{Now: func() time.Time { return now }})
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := add(t, open(t, db, bus.NewMemory()), NewFile{Name: "a.yar", Content: rule}) // elsewhere; the hint is lost
	now = now.Add(2 * time.Second)
	if _, err := s.Fetch(t.Context(), f.Token, f.Name, nil); err != nil {
		t.Error(err)
	}
	if err := db.Write(t.Context()).Exec("DROP TABLE yara_tags").Error; err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Second)
	for range 5 {
		if _, err := s.Fetch(t.Context(), "x", f.Name, nil); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	}
	if looked := strings.Count(said.String(), "cannot be read again"); looked != 1 {
		t.Errorf("looked %d times: %s", looked, &said)
	}
	if _, err := s.Fetch(t.Context(), f.Token, f.Name, nil); err != nil {
		t.Errorf("what was read last is gone: %v", err)
	}
}

func TestWhatShipsIsInstalledOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := open(t, db, bus.NewMemory())
		f, err := s.Find(t.Context(), "eicar.yara")
		if err != nil || f.Rules != 2 || f.Username != "" {
			t.Fatalf("%+v %v", f, err)
		}
		if err := db.SetSetting(t.Context(), shippedSetting, map[string]string{"eicar.yara": f.SHA256 + "-before"}); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context()).Exec("UPDATE yara_files SET sha256 = ?", f.SHA256+"-before").Error; err != nil {
			t.Fatal(err)
		}
		if f, err = open(t, db, bus.NewMemory()).Find(t.Context(), "eicar.yara"); err != nil || f.SHA256 != digest(f.Content) {
			t.Errorf("an older one is not brought up to date: %s %v", f.SHA256, err)
		}
		if _, err := s.Delete(t.Context(), "eicar.yara"); err != nil {
			t.Fatal(err)
		}
		if files, err := open(t, db, bus.NewMemory()).List(t.Context()); err != nil || len(files) != 0 {
			t.Errorf("what was deleted came back: %s %v", names(files), err)
		}
	})
}
