// Package carves keeps the files that hosts hand over: sessions, blocks, archives.
//
// It writes the tables carves, carve_blocks and carve_requests, and a folder
// (ID.part while blocks arrive; ID.tar, ID.zst or ID.bin afterwards: names are
// made of ids only). It reads names and states of the table hosts when it lists.
// It does not know who may see a carve, how blocks travel, or what a live query
// is beyond its id.
//
// What an agent is told was taken is on disk: a block's bytes are synced before
// its row commits, and the row before Block returns. Blocks that arrive together
// share both.
//
// Several replicas may share one database if they share the folder as well.
package carves

import (
	"log/slog"
	"sync"
	"time"

	"muster/server/database"
)

// Status says where a carve stands. The names are those of the ESP API.
type Status string

// The statuses. A carve in one of the first two takes blocks.
const (
	Initialized Status = "INITIALIZED" // started, no block yet
	InProgress  Status = "IN PROGRESS" // some blocks are there
	Building    Status = "BUILDING"    // every block is there, the archive is being checked
	Completed   Status = "COMPLETED"   // the archive can be had
	Expired     Status = "EXPIRED"     // blocks are missing and no more are taken
	Abandoned   Status = "ABANDONED"   // the agent started the same carve anew
	Failed      Status = "FAILED"      // every block came, but the archive cannot be made of them
)

// Defaults of Options, where an operator or a door may want to know them.
const (
	DefaultMaxSize  = 8 << 30 // bytes of one carve
	DefaultMaxBlock = 8 << 20 // bytes of one block; 4/3 of that in the request's body
	DefaultInline   = 64 << 20
)

// Options bound what hosts may store. Zero values mean the defaults.
type Options struct {
	Now          func() time.Time
	Free         func(dir string) (int64, error) // free bytes of a folder's disk
	MaxSize      int64                           // of one carve, bytes (8 GiB)
	MaxBlock     int64                           // of one block, bytes (8 MiB)
	MaxBlocks    int64                           // of one carve (1,048,576: 8 GiB of osquery's default blocks)
	OpenPerHost  int                             // carves a host may have open at once (16)
	Quota        int64                           // of all carves together, bytes (0: none)
	MinFree      int64                           // bytes to leave free on the disk (1 GiB)
	IdleTimeout  time.Duration                   // without a block (10 min)
	TotalTimeout time.Duration                   // from start to last block (24 h)
	InlineSize   int64                           // archives below are finished within the last block's request (64 MiB)
	KeepFailed   time.Duration                   // how long rows of carves that never completed stay (30 days)
	KeepComplete time.Duration                   // how long completed carves stay (0: until deleted)
	Sessions     int                             // sessions kept in memory (1024)
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Free == nil {
		o.Free = freeBytes
	}
	orDefault(&o.MaxSize, DefaultMaxSize)
	orDefault(&o.MaxBlock, DefaultMaxBlock)
	orDefault(&o.MaxBlocks, 1<<20)
	orDefault(&o.OpenPerHost, 16)
	orDefault(&o.MinFree, 1<<30)
	orDefault(&o.IdleTimeout, 10*time.Minute)
	orDefault(&o.TotalTimeout, 24*time.Hour)
	orDefault(&o.InlineSize, DefaultInline)
	orDefault(&o.KeepFailed, 30*24*time.Hour)
	orDefault(&o.Sessions, 1024)
	return o
}

func orDefault[T int | int64 | time.Duration](value *T, fallback T) {
	if *value == 0 {
		*value = fallback
	}
}

// Store keeps carves. It is safe for concurrent use.
type Store struct {
	db      *database.DB
	dir     string
	log     *slog.Logger
	options Options

	sessions sessions
	commits  committer
	wake     chan struct{} // the worker in Run has something to finish

	finishing sync.Map // carve ids that this process is finishing
}

// New returns a store that keeps its files in dir, which is made when the first
// carve starts and should hold nothing else. Call Run as well: without it large carves are not finished and nothing expires.
func New(db *database.DB, dir string, log *slog.Logger, o Options) *Store {
	s := &Store{db: db, dir: dir, log: log, options: o.withDefaults(), wake: make(chan struct{}, 1)}
	s.sessions = sessions{known: map[string]*session{}, limit: s.options.Sessions}
	s.commits = committer{store: s}
	return s
}

func (s *Store) now() int64 { return database.Micros(s.options.Now()) }

// wakeWorker tells Run to look for carves to finish.
func (s *Store) wakeWorker() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
