package agenttest

import (
	"fmt"
	"slices"
	"strings"
)

// entry is one line in the agent's log buffer.
type entry struct {
	Key  string
	At   int64
	Line []byte
}

// result tells result lines from status lines.
func (e entry) result() bool { return strings.HasPrefix(e.Key, "tls_r_") }

// buffer is the "logs" domain of an agent's database: lines under keys such as
// tls_r_1700000000_12, read in the order of the key's bytes. So results starve
// status lines, and 10 comes before 9 (section 3.2, 3.10).
type buffer struct {
	Entries []entry
	Counter int64
	sorted  bool
}

// add keeps line; kind is 'r' or 's'.
func (b *buffer) add(kind byte, at int64, line []byte) {
	b.Counter++
	b.Entries = append(b.Entries, entry{fmt.Sprintf("tls_%c_%d_%d", kind, at, b.Counter), at, line})
	b.sorted = false
}

func (b *buffer) len() int { return len(b.Entries) }

// head returns the first n entries.
func (b *buffer) head(n int) []entry {
	b.sort()
	return slices.Clone(b.Entries[:min(max(n, 0), len(b.Entries))])
}

func (b *buffer) sort() {
	if !b.sorted {
		slices.SortFunc(b.Entries, func(x, y entry) int { return strings.Compare(x.Key, y.Key) })
		b.sorted = true
	}
}

// remove deletes entries by their keys.
func (b *buffer) remove(gone []entry) {
	b.sort()
	if n := len(gone); b.startsWith(gone) {
		clear(b.Entries[:n])
		b.Entries = b.Entries[n:]
	} else {
		keys := make(map[string]struct{}, n)
		for _, e := range gone {
			keys[e.Key] = struct{}{}
		}
		b.Entries = slices.DeleteFunc(b.Entries, func(e entry) bool {
			_, ok := keys[e.Key]
			return ok
		})
	}
	if len(b.Entries) == 0 {
		b.Entries = nil
	}
}

func (b *buffer) startsWith(gone []entry) bool {
	if len(gone) > len(b.Entries) {
		return false
	}
	for i, e := range gone {
		if b.Entries[i].Key != e.Key {
			return false
		}
	}
	return true
}

// purge drops the oldest lines above limit and says how many. Without a limit
// (0) it drops none.
func (b *buffer) purge(limit int) int {
	surplus := len(b.Entries) - limit
	if surplus <= 0 || limit <= 0 {
		return 0
	}
	oldest := slices.Clone(b.Entries)
	slices.SortStableFunc(oldest, func(x, y entry) int { return int(x.At - y.At) })
	b.remove(oldest[:surplus])
	return surplus
}
