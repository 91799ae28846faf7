package agenttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// disk is what the agent's RocksDB keeps over a kill and a restart.
type disk struct {
	NodeKey    string
	InstanceID string
	Buffer     buffer
	Queries    map[string]*remembered // scheduled queries by result name
	Splay      map[string]int         // seconds, by bare query name and interval
	Executing  string                 // scheduled query that runs now
	Denylist   map[string]int64       // scheduled query to unix time
	Pending    []task                 // live queries not yet run
	Running    map[string]int64       // live queries by sha256 of their SQL: started then
	Accelerate int64                  // unix time until which to poll each 5 s
	Backup     []byte                 // last good config
	Carves     []*carving
	Preloaded  bool // chaos has filled the buffer
}

func newDisk(instance string) *disk {
	return &disk{
		InstanceID: instance,
		Queries:    map[string]*remembered{},
		Splay:      map[string]int{},
		Denylist:   map[string]int64{},
		Running:    map[string]int64{},
	}
}

// clone is a disk image: nothing is shared.
func (d *disk) clone() *disk {
	image := *d
	image.Buffer.Entries = slices.Clone(d.Buffer.Entries)
	image.Queries = make(map[string]*remembered, len(d.Queries))
	for name, query := range d.Queries {
		copied := *query
		image.Queries[name] = &copied
	}
	image.Splay, image.Denylist, image.Running = maps.Clone(d.Splay), maps.Clone(d.Denylist), maps.Clone(d.Running)
	image.Pending = slices.Clone(d.Pending)
	image.Carves = nil
	for _, carve := range d.Carves {
		copied := *carve
		image.Carves = append(image.Carves, &copied)
	}
	return &image
}

// memory is what the end of the process costs.
type memory struct {
	started     time.Time
	waiting     []statusLine     // status lines not yet in the buffer
	unsent      []taskResult     // answers of live queries
	failures    int              // of the logger, in a row
	config      *document        // nil without a config
	compact     [20]byte         // hash of the config's compact form
	valid       bool             // the config could be used
	etag        string           // next: of the last config
	decorations decorations      // by the queries of the config
	discovered  map[string]check // packs' discovery, cached
	runs        map[string]*execution
	seen        map[string]int64 // event tables' last look, by query
	carveWake   chan struct{}    // a carve was asked for
	rearm       func()           // wakes the schedule loop: the schedule changed
	plan        *plan            // nil until computed for this config
}

func newMemory(now time.Time) *memory {
	return &memory{
		started:     now,
		decorations: decorations{},
		discovered:  map[string]check{},
		runs:        map[string]*execution{},
		seen:        map[string]int64{},
		carveWake:   make(chan struct{}, 1),
		rearm:       func() {},
	}
}

// statePath is the agent's file, empty when its state lives in memory only.
func (a *Agent) statePath() string {
	if a.opt.StateDir == "" {
		return ""
	}
	return filepath.Join(a.opt.StateDir, fmt.Sprintf("agent-%s-%d.json", a.machine.platform, a.opt.Seed))
}

// load reads the state of an earlier process, if there is one.
func (a *Agent) load() error {
	path := a.statePath()
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the agent's state: %w", err)
	}
	kept := newDisk("")
	if err := json.Unmarshal(text, kept); err != nil {
		return fmt.Errorf("read the agent's state %s: %w", path, err)
	}
	a.disk = kept
	return nil
}

// save writes the state at the end of each step, in one move, so that a kill of
// the whole process finds the last complete one. Without a StateDir the state
// lives on in the Agent.
func (a *Agent) save() {
	path := a.statePath()
	if path == "" {
		return
	}
	a.saveMu.Lock()
	defer a.saveMu.Unlock()
	a.mu.Lock()
	text, err := json.Marshal(a.disk)
	a.mu.Unlock()
	if err == nil {
		err = replaceFile(path, text)
	}
	if err != nil {
		a.log.Error("agent state not saved", "path", path, "error", err)
	}
}

func replaceFile(path string, text []byte) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// Wipe deletes the agent's state, as a reinstallation does: no key, no buffer, a
// new instance_id. Use it between Kill and Restart.
func (a *Agent) Wipe() {
	a.mu.Lock()
	a.wipes++
	a.disk = newDisk(randomUUID(a.machine.random(fmt.Sprintf("instance %d", a.wipes)), false))
	a.mu.Unlock()
	a.save()
}
