package agenttest

import (
	"crypto/sha256"
	"slices"
	"sync"
)

// Line is one log line as it was on the wire.
type Line struct {
	Host   string // the agent's host identifier
	Status bool   // a status line, not a result
	Raw    []byte
}

// Ledger remembers every line that agents deleted because the server took it.
// Against it a test proves that no such line is missing from storage. Agents may
// share one; safe for concurrent use.
type Ledger struct {
	keep bool

	mu       sync.Mutex
	accepted map[[sha256.Size]byte]int
	lines    []Line
}

// NewLedger returns an empty ledger. It holds a hash of each line, and with
// keepLines the line as well.
func NewLedger(keepLines bool) *Ledger {
	return &Ledger{keep: keepLines, accepted: map[[sha256.Size]byte]int{}}
}

func (l *Ledger) accept(line Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[lineHash(line.Host, line.Raw)]++
	if l.keep {
		l.lines = append(l.lines, line)
	}
}

// Count is the number of accepted lines, repeated ones included.
func (l *Ledger) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for _, n := range l.accepted {
		total += n
	}
	return total
}

// Has reports whether an agent of that identifier deleted that very line.
func (l *Ledger) Has(host string, raw []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted[lineHash(host, raw)] > 0
}

// Lines returns the accepted lines in the order they were deleted; nil unless
// the ledger keeps lines.
func (l *Ledger) Lines() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// Missing returns the accepted lines that stored does not know. The ledger must
// keep lines.
func (l *Ledger) Missing(stored func(Line) bool) []Line {
	var missing []Line
	for _, line := range l.Lines() {
		if !stored(line) {
			missing = append(missing, line)
		}
	}
	return missing
}

func lineHash(host string, raw []byte) [sha256.Size]byte {
	hash := sha256.New()
	hash.Write([]byte(host))
	hash.Write([]byte{0})
	hash.Write(raw)
	return [sha256.Size]byte(hash.Sum(nil))
}
