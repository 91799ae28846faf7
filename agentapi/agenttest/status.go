package agenttest

import (
	"strconv"
	"time"
)

// Severities of status lines.
const (
	severityInfo    = 0
	severityWarning = 1
	severityError   = 2
)

const (
	relayPeriod    = 3 * time.Second // status lines wait so long for the buffer
	mostStatusHeld = 10000
)

// statusLine is on its way to the buffer.
type statusLine struct {
	at  time.Time
	raw []byte
}

// status writes a status line (section 3.8), unless options keep it quiet. The
// caller does not hold mu.
func (a *Agent) status(severity int, file string, line int, message string) {
	if severity < a.flags.int("logger_min_status") || a.flags.bool("tls_disable_status_log") {
		return
	}
	now := a.now()
	raw := a.statusJSON(severity, file, line, message, now)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.mem.waiting) < mostStatusHeld {
		a.mem.waiting = append(a.mem.waiting, statusLine{now, raw})
	}
}

func (a *Agent) statusJSON(severity int, file string, line int, message string, now time.Time) []byte {
	var m members
	number := m.num
	if !a.profile.statusInts {
		number = func(name string, n int64) { m.str(name, strconv.FormatInt(n, 10)) }
	}
	m.str("hostIdentifier", a.HostIdentifier())
	m.str("calendarTime", now.UTC().Format(asctime))
	number("unixTime", now.Unix())
	number("severity", int64(severity))
	m.str("filename", file)
	number("line", int64(line))
	m.str("message", message)
	m.str("version", a.profile.release)
	decorate(&m, a.decoration(), a.flags.bool("decorations_top_level") && a.profile.statusInts)
	return m.json()
}

// Relay moves every waiting status line into the buffer, as osquery does each
// three seconds. Run does it by itself.
func (a *Agent) Relay() { a.relay(0) }

// relay moves the lines that have waited for at least age.
func (a *Agent) relay(age time.Duration) {
	limit := a.now().Add(-age)
	a.mu.Lock()
	defer a.mu.Unlock()
	moved := 0
	for _, s := range a.mem.waiting {
		if s.at.After(limit) {
			break
		}
		a.disk.Buffer.add('s', s.at.Unix(), s.raw)
		moved++
	}
	a.mem.waiting = a.mem.waiting[moved:]
	if len(a.mem.waiting) == 0 {
		a.mem.waiting = nil
	}
}

// Warn writes a WARNING status line of the test's own.
func (a *Agent) Warn(message string) { a.status(severityWarning, "agenttest.cpp", 1, message) }
