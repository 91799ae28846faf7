package agenttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestResultsStarveStatusLines(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Chaos.Backlog = 1500 })
	a.Warn("help")
	a.Relay()
	var sent []string
	for range 3 {
		before := len(server.seen("/log"))
		must(t, a.FlushLogs(t.Context()))
		for _, r := range server.seen("/log")[before:] {
			var body struct {
				Data []json.RawMessage
				Type string `json:"log_type"`
			}
			must(t, json.Unmarshal([]byte(r.body), &body))
			sent = append(sent, fmt.Sprint(body.Type, " ", len(body.Data)))
		}
	}
	wantEqual(t, "batches", strings.Join(sent, ", "), "result 1024, result 476, status 1")
	wantEqual(t, "lines accepted", a.Stats().LinesAccepted, 1501)
}

func TestKeysOfOneSecondAreInTheOrderOfTheirBytes(t *testing.T) {
	var b buffer
	for range 12 {
		b.add('r', 1000, []byte("x"))
	}
	b.add('s', 900, nil)
	b.add('r', 999, nil)
	var keys []string
	for _, e := range b.head(20) {
		keys = append(keys, e.Key)
	}
	wantEqual(t, "keys", strings.Join(keys, " "), "tls_r_1000_1 tls_r_1000_10 tls_r_1000_11 tls_r_1000_12 tls_r_1000_2 tls_r_1000_3 "+
		"tls_r_1000_4 tls_r_1000_5 tls_r_1000_6 tls_r_1000_7 tls_r_1000_8 tls_r_1000_9 tls_r_999_14 tls_s_900_13")
	gone := []entry{b.head(3)[2], b.head(1)[0]}
	b.remove(gone)
	wantEqual(t, "left", b.len(), 12)
	wantEqual(t, "purged", b.purge(10), 2)
	wantEqual(t, "the oldest are gone", b.Entries[b.len()-1].At, 1000)
}

func TestALineThatIsTooLongIsDroppedForGood(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Chaos.GiantLine = 1 << 20 })
	must(t, a.FlushLogs(t.Context()))
	wantContains(t, server.seen("/log")[0].body, `{"data":[],"log_type":"result"`)
	stats := a.Stats()
	wantEqual(t, "dropped", stats.LinesDropped, 1)
	wantEqual(t, "accepted", stats.LinesAccepted, 0)
	wantEqual(t, "left", stats.LinesBuffered, 0)
	wantContains(t, statuses(a), "Linesize exceeds TLS logger maximum: 104")
}

func TestALineUpToTheLimitIsSent(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Chaos.GiantLine = 1<<20 - 400 })
	must(t, a.FlushLogs(t.Context()))
	wantEqual(t, "accepted", a.Stats().LinesAccepted, 1)
}

func TestTheOldestLinesAreGivenUpAfterAFailure(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) {
		o.Chaos.Backlog = 500
		o.Flags = map[string]string{"buffered_log_max": "100"}
	})
	server.always("/log", answer{status: 500, body: `{"error":"busy"}`})
	_ = a.FlushLogs(t.Context())
	wantEqual(t, "left", len(a.Buffered()), 100)
	wantEqual(t, "purged", a.Stats().LinesPurged, 400)
	wantContains(t, string(a.Buffered()[0].Raw), `"n":"4`)
}

func TestTheLoggerBacksOffSince512(t *testing.T) {
	for version, want := range map[Version]string{Version59: "[4s 4s 4s 4s]", Version512: "[4s 4s 16s 36s]"} {
		server := newReference(t)
		a, _ := server.agent(t, func(o *Options) { o.Version = version; o.Chaos.Backlog = 1 })
		must(t, a.Enroll(t.Context()))
		server.always("/log", answer{hangUp: true})
		waits := []time.Duration{a.logWait()}
		for range 3 {
			_ = a.FlushLogs(t.Context())
			waits = append(waits, a.logWait())
		}
		wantEqual(t, string(version), fmt.Sprint(waits), want)
		server.on("/log", nil)
		must(t, a.FlushLogs(t.Context()))
		wantEqual(t, "after a success", a.logWait(), 4*time.Second)
	}
}

func TestTheBackOffEndsAtItsLimit(t *testing.T) {
	a, _ := newReference(t).agent(t, func(o *Options) { o.Flags = map[string]string{"logger_tls_backoff_max": "600"} })
	a.mem.failures = 50
	wantEqual(t, "wait", a.logWait(), 10*time.Minute)
}

func TestADuplicateBatchIsPostedTwice(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Chaos = Chaos{Backlog: 3, DuplicateBatch: 1} })
	must(t, a.FlushLogs(t.Context()))
	logs := server.seen("/log")
	wantEqual(t, "requests", len(logs), 2)
	wantEqual(t, "the same", logs[0].body, logs[1].body)
	wantEqual(t, "accepted", a.Stats().LinesAccepted, 3)
}

func TestStatusLinesGoThroughARelay(t *testing.T) {
	a, clock := newReference(t).agent(t, nil)
	a.Warn("one")
	a.relay(relayPeriod)
	wantEqual(t, "at once", len(a.Buffered()), 0)
	must(t, clock.Sleep(t.Context(), relayPeriod))
	a.relay(relayPeriod)
	wantEqual(t, "after three seconds", len(a.Buffered()), 1)
	a.Warn("two")
	a.Kill()
	a.Restart()
	wantEqual(t, "after a kill", strings.Count(statuses(a), "\n"), 1)
}

func TestQuietStatusLogs(t *testing.T) {
	for name, flags := range map[string]map[string]string{
		"switched off":      {"tls_disable_status_log": "true"},
		"below the minimum": {"logger_min_status": "2"},
	} {
		a, _ := newReference(t).agent(t, func(o *Options) { o.Flags = flags })
		a.Warn("one")
		wantEqual(t, name, statuses(a), "")
	}
}

func TestABacklogIsSpreadOverTime(t *testing.T) {
	a, _ := newReference(t).agent(t, func(o *Options) { o.Chaos = Chaos{Backlog: 250, ClockSkew: time.Hour, InvalidUTF8: true} })
	lines := a.Buffered()
	wantEqual(t, "lines", len(lines), 250)
	at := num(start.Add(time.Hour).Unix())
	if !slices.ContainsFunc(lines, func(l Line) bool { return strings.Contains(string(l.Raw), `"unixTime":`+at) }) {
		t.Error("the skewed clock does not show")
	}
	wantContains(t, string(lines[0].Raw), "\xff\xfe")
}
