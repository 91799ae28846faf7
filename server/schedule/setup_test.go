package schedule

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/hosts"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// journal is a log that a test can read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) has(words ...string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, word := range words {
		if !strings.Contains(j.text.String(), word) {
			return false
		}
	}
	return true
}

func (j *journal) count(words string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), words)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// loaded returns a store on db that serves.
func loaded(t testing.TB, db *database.DB, o Options) *Store {
	t.Helper()
	s := New(db, bus.NewMemory(), quiet(), o)
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// host has tags that known finds the ids of.
func host(platform, arch string, tags ...string) *hosts.Host {
	return &hosts.Host{ID: 1, Platform: platform, Arch: arch, Tags: tags}
}

// known is a host as the register of s's database would know it.
func known(t testing.TB, s *Store, h *hosts.Host) *hosts.Host {
	t.Helper()
	if len(h.Tags) == 0 || len(h.TagIDs) > 0 {
		return h
	}
	tags, err := hosts.FindTags(context.Background(), s.db, h.Tags)
	if err != nil {
		t.Fatal(err)
	}
	again := *h
	for _, tag := range tags {
		again.TagIDs = append(again.TagIDs, tag.ID)
	}
	slices.Sort(again.TagIDs)
	return &again
}

// configOf returns the config of h and fails if no agent would take it.
func configOf(t testing.TB, s *Store, h *hosts.Host) Config {
	t.Helper()
	c, err := s.ConfigFor(context.Background(), known(t, s, h))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(c.Plain); err != nil {
		t.Fatalf("an agent would refuse its config: %v", err)
	}
	return c
}

// decoded is a config as an agent sees it.
type decoded struct {
	Options  map[string]any
	Schedule map[string]map[string]any
	Packs    map[string]struct {
		Platform string
		Queries  map[string]map[string]any
	}
	FilePaths map[string][]string `json:"file_paths"`
	ETag      *string             `json:"etag"`
}

func decodedConfig(t testing.TB, config []byte) decoded {
	t.Helper()
	var d decoded
	if err := json.Unmarshal(config, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func packNames(t testing.TB, s *Store, h *hosts.Host) string {
	t.Helper()
	full, err := s.FullConfig(context.Background(), known(t, s, h))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range full.Packs {
		names = append(names, p.Name)
	}
	sent := decodedConfig(t, configOf(t, s, h).Plain).Packs
	if len(sent) != len(names) {
		t.Fatalf("the parts have packs %v, the config has %d", names, len(sent))
	}
	for _, name := range names {
		if _, there := sent[name]; !there {
			t.Fatalf("the config lacks pack %s", name)
		}
	}
	return strings.Join(names, " ")
}

// eventually fails the test when ok does not become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func parsed(t testing.TB, name, document string, tags ...string) Pack {
	t.Helper()
	p, _, err := ParsePack(name, []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	p.Tags = tags
	return p
}

// add stores a pack.
func add(t testing.TB, s *Store, p Pack) Pack {
	t.Helper()
	added, _, err := s.AddPack(context.Background(), p)
	if err != nil || added.ID == 0 {
		t.Fatal(added, err)
	}
	return added
}

func exec(t testing.TB, db *database.DB, sql string, args ...any) {
	t.Helper()
	if err := db.Write(context.Background()).Exec(sql, args...).Error; err != nil {
		t.Fatal(err)
	}
}
