package hosts

import (
	"strings"
	"sync"
	"sync/atomic"

	"muster/server/database"
)

// Contact is what a host was heard doing.
type Contact int

// The contacts. Each also counts as a check-in; a carve is nothing else.
const (
	ContactConfig Contact = iota
	ContactResult
	ContactStatus
	ContactQueryRead
	ContactQueryWrite
	ContactCarve
)

// contactTimes are microseconds, 0 = never, in the order of the time* constants.
type contactTimes [timeCount]int64

const (
	timeCheckin = iota
	timeStatus
	timeResult
	timeConfig
	timeQueryRead
	timeQueryWrite
	timeCount
)

// slot says which time a contact sets besides the check-in.
var slot = [...]int{
	ContactConfig: timeConfig, ContactResult: timeResult, ContactStatus: timeStatus,
	ContactQueryRead: timeQueryRead, ContactQueryWrite: timeQueryWrite, ContactCarve: timeCheckin,
}

func (t contactTimes) onto(h *Host) {
	h.LastCheckin = database.FromMicros(t[timeCheckin])
	h.LastStatus = database.FromMicros(t[timeStatus])
	h.LastResult = database.FromMicros(t[timeResult])
	h.LastConfig = database.FromMicros(t[timeConfig])
	h.LastQueryRead = database.FromMicros(t[timeQueryRead])
	h.LastQueryWrite = database.FromMicros(t[timeQueryWrite])
}

func timesOf(h *Host) contactTimes {
	return contactTimes{
		timeCheckin: database.Micros(h.LastCheckin), timeStatus: database.Micros(h.LastStatus),
		timeResult: database.Micros(h.LastResult), timeConfig: database.Micros(h.LastConfig),
		timeQueryRead: database.Micros(h.LastQueryRead), timeQueryWrite: database.Micros(h.LastQueryWrite),
	}
}

func (r hostRow) times() contactTimes {
	return contactTimes{r.LastCheckin, r.LastStatus, r.LastResult, r.LastConfig, r.LastQueryRead, r.LastQueryWrite}
}

// contacts are the newest times known of one host, from here or from the database.
type contacts struct {
	at    [timeCount]atomic.Int64
	ip    atomic.Pointer[string]
	dirty atomic.Bool // waits in the contactLog
}

func (c *contacts) times() (t contactTimes) {
	for i := range t {
		t[i] = c.at[i].Load()
	}
	return t
}

func (c *contacts) address() string {
	if ip := c.ip.Load(); ip != nil {
		return *ip
	}
	return ""
}

// advance moves one time forward, never backwards, and reports whether it moved.
func (c *contacts) advance(i int, to int64) bool {
	for {
		old := c.at[i].Load()
		if to <= old {
			return false
		}
		if c.at[i].CompareAndSwap(old, to) {
			return true
		}
	}
}

// learn takes over times that are stored already. The address goes with the
// newest check-in.
func (c *contacts) learn(t contactTimes, ip string) {
	newer := c.advance(timeCheckin, t[timeCheckin])
	for i := timeStatus; i < timeCount; i++ {
		c.advance(i, t[i])
	}
	if (newer || c.ip.Load() == nil) && ip != "" && ip != c.address() {
		changed := ip
		c.ip.Store(&changed)
	}
}

func (c *contacts) setAddress(address string) {
	address = strings.TrimPrefix(address, "::ffff:")
	if address == "" || address == c.address() {
		return
	}
	changed := clip(address, maxAddress) // escapes; address itself must not
	c.ip.Store(&changed)
}

// Seen notes that a host was heard from at address, now: in memory only, Run
// writes it. An unknown host is ignored.
func (s *Store) Seen(hostID int64, c Contact, address string) {
	e := s.reg.get(hostID)
	if e == nil || c < 0 || int(c) >= len(slot) {
		return
	}
	now := s.Now().UnixMicro()
	e.contacts.advance(timeCheckin, now)
	e.contacts.advance(slot[c], now)
	e.contacts.setAddress(address)
	s.contacts.note(e)
}

// contactLog lists the hosts with contacts that are not written yet, each once.
type contactLog struct {
	mu      sync.Mutex
	waiting []*entry
}

func (l *contactLog) note(e *entry) {
	if e.contacts.dirty.CompareAndSwap(false, true) {
		l.mu.Lock()
		l.waiting = append(l.waiting, e)
		l.mu.Unlock()
	}
}

func (l *contactLog) take() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.waiting
	l.waiting = nil
	return taken
}

// putBack returns entries that were taken and are still marked as waiting.
func (l *contactLog) putBack(entries []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, entries...)
}
