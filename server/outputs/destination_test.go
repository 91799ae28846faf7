package outputs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/results"
)

// yard is a server with two hosts that report, and destinations.
type yard struct {
	t       *testing.T
	db      *database.DB
	bus     *bus.Memory
	hosts   *hosts.Store
	results *results.Store
	alerts  *alerts.Store
	log     *safeBuffer
	o       DestinationOptions
	lines   int
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// eachYard runs a test on both engines.
func eachYard(t *testing.T, test func(y *yard)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) { test(newYard(t, db)) })
}

func newYard(t *testing.T, db *database.DB) *yard {
	t.Helper()
	y := &yard{t: t, db: db, bus: bus.NewMemory(), log: &safeBuffer{}}
	log := slog.New(slog.NewTextHandler(y.log, nil))
	y.hosts = hosts.New(db, y.bus, log, hosts.Options{})
	y.results = results.New(db, y.bus, log, results.Options{HintEvery: time.Millisecond})
	y.alerts = alerts.New(db)
	y.o = DestinationOptions{
		Folder: t.TempDir(), Poll: 50 * time.Millisecond, Takeover: 50 * time.Millisecond, RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond,
		BatchRows: 7,
	}
	for id := 1; id <= 2; id++ {
		y.ok(db.Write(t.Context()).Exec(`INSERT INTO hosts (id, identifier, hostname, platform, state, os_info, node_info, enrolled_on, last_enrollment, updated_at)
			VALUES (?, ?, ?, 'linux', 'active', '{"name":"Debian","version":"12"}', '{"hardware_model":"KVM","hardware_vendor":"QEMU","cpu_physical_cores":"4"}', 1, 1, 1)`,
			id, fmt.Sprintf("host-%d", id), fmt.Sprintf("web-%d", id)).Error)
	}
	y.ok(y.results.EnsurePartitions(t.Context()))
	y.background(y.results.Run)
	return y
}

func (y *yard) ok(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

// background runs something until the test ends or it is stopped.
func (y *yard) background(run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	stop = func() { cancel(); <-done }
	y.t.Cleanup(stop)
	return stop
}

// replica is one server's destinations; they share the database.
func (y *yard) replica() *Destinations {
	return NewDestinations(DestinationDeps{
		DB: y.db, Box: newBox(y.t, 1), Hosts: y.hosts, Results: y.results, Alerts: y.alerts, Bus: y.bus, Log: slog.New(slog.NewTextHandler(y.log, nil)),
	}, y.o)
}

// report stores so many rows, of both hosts in turn.
func (y *yard) report(n int) {
	y.t.Helper()
	var lines []results.Line
	for range n {
		y.lines++
		host, raw := int64(1+y.lines%2), fmt.Appendf(nil, `{"n":"%d"}`, y.lines)
		lines = append(lines, results.Line{Key: results.LineKey(host, 1_772_366_390, raw, 0), Entries: []results.Entry{{
			HostID: host, Name: "pack/p/q", Action: "added", Columns: raw, UnixTime: 1_772_366_390,
		}}})
	}
	stored, err := y.results.Append(y.t.Context(), lines)
	y.ok(err)
	if stored != n {
		y.t.Fatalf("%d of %d rows are new", stored, n)
	}
}

func (y *yard) add(d *Destinations, n NewDestination) {
	y.t.Helper()
	if n.Streams == nil {
		n.Streams = []Stream{StreamResults}
	}
	n.Active = true
	_, err := d.Add(y.t.Context(), n)
	y.ok(err)
}

// soon polls until the condition holds.
func soon(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// progress is that of one stream.
func (y *yard) progress(d *Destinations, name string, stream Stream) Progress {
	y.t.Helper()
	all, err := d.Progress(y.t.Context(), name)
	y.ok(err)
	at := slices.IndexFunc(all, func(p Progress) bool { return p.Destination == name && p.Stream == stream })
	if at < 0 {
		y.t.Fatalf("no progress of %s with %s", name, stream)
	}
	return all[at]
}

// sent is a line as a receiver reads it.
type sent struct {
	Stream Stream
	ID     int64
	Host   struct{ Identifier string }
}

func parse(t *testing.T, body []byte) (all []sent) {
	t.Helper()
	for text := range bytes.Lines(body) {
		var s sent
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, s)
	}
	return all
}

// wantAll checks that every id from 1 came, and that what came for the first time
// came in order.
func wantAll(t *testing.T, got []sent, upTo int64) {
	t.Helper()
	highest := int64(0)
	for _, s := range got {
		if s.ID > highest+1 {
			t.Fatalf("after %d came %d", highest, s.ID)
		}
		highest = max(highest, s.ID)
	}
	if highest != upTo {
		t.Errorf("the last is %d, not %d", highest, upTo)
	}
}

func TestDestinationsAreKept(t *testing.T) {
	eachYard(t, func(y *yard) {
		d, ctx := y.replica(), y.t.Context()
		y.report(3)
		hook := map[string]any{"url": "https://siem.example.com/in", "secret": password, "authorization": "Bearer " + password}
		added, err := d.Add(ctx, NewDestination{Name: " siem ", Kind: "webhook", Streams: []Stream{"alerts", "results", "alerts"}, Active: true, Settings: hook})
		y.ok(err)
		want := Destination{ID: 1, Name: "siem", Kind: "webhook", Streams: []Stream{"results", "alerts"}, Format: FormatMuster, Active: true, Settings: map[string]any{
			"url": "https://siem.example.com/" + Mask, "body": "lines", "secret": Mask, "authorization": Mask, "max_bytes": float64(1 << 20),
		}, Created: added.Created, Updated: added.Created}
		if diff := cmp.Diff(want, added); diff != "" {
			t := y.t
			t.Error(diff)
		}
		var stored string
		y.ok(y.db.Read(ctx).Raw("SELECT settings FROM destinations").Scan(&stored).Error)
		if strings.Contains(stored, password) {
			y.t.Errorf("it is not sealed: %s", stored)
		}
		if p := y.progress(d, "siem", StreamResults); p.Position != 3 || p.BehindRows != 0 || p.Behind != 0 {
			y.t.Errorf("a new one starts now: %+v", p)
		}
		y.add(d, NewDestination{Name: "all", Kind: "file", Settings: map[string]any{"path": "all.log"}, FromBeginning: true})
		if p := y.progress(d, "all", StreamResults); p.Position != 0 || p.BehindRows != 3 || p.Behind <= 0 {
			y.t.Errorf("one that wants everything: %+v", p)
		}

		format, off, streams := FormatESP, false, []Stream{"status", "results"}
		next := maps.Clone(hook)
		next["secret"], next["authorization"], next["body"] = Mask, "", "array"
		before, after, err := d.Change(ctx, "siem", DestinationChange{Streams: &streams, Format: &format, Active: &off, Settings: &next})
		y.ok(err)
		if before.Format != FormatMuster || after.Format != FormatESP || after.Active || after.Settings["secret"] != Mask || after.Settings["authorization"] != "" ||
			after.Settings["body"] != "array" || !slices.Equal(after.Streams, []Stream{"results", "status"}) {
			y.t.Errorf("%+v becomes %+v", before, after)
		}
		if p := y.progress(d, "siem", StreamResults); p.Position != 3 || p.Active {
			y.t.Errorf("a stream that stays goes on: %+v", p)
		}
		rows, err := d.rows(ctx, y.db, "WHERE name = 'siem'")
		y.ok(err)
		opened, err := d.openedSettings("webhook", rows[0].Settings)
		if err != nil || *opened.secrets()["secret"] != password {
			y.t.Errorf("the mask keeps the secret: %v", err)
		}
		_, err = d.Delete(ctx, "siem")
		y.ok(err)
		if _, err := d.Find(ctx, "siem"); !fault.Is(err, fault.NotFound) {
			y.t.Errorf("%v", err)
		}
		all, err := d.List(ctx)
		if err != nil || len(all) != 1 || all[0].Name != "all" {
			y.t.Errorf("%+v %v", all, err)
		}
	})
}

func TestDestinationsThatAreRefused(t *testing.T) {
	y := newYard(t, dbtest.Open(t, database.SQLite))
	y.o.Paths = []string{"/var/log/muster"}
	d := y.replica()
	results := []Stream{StreamResults}
	y.add(d, NewDestination{Name: "taken", Kind: "file", Settings: map[string]any{"path": "x"}})
	file := func(path string) NewDestination {
		return NewDestination{Name: "n", Kind: "file", Streams: results, Settings: map[string]any{"path": path}}
	}
	of := func(kind string, settings map[string]any) NewDestination {
		return NewDestination{Name: "n", Kind: kind, Streams: results, Settings: settings}
	}
	kafka := func(name string, value any) NewDestination {
		s := map[string]any{"brokers": []string{"a:9092"}, "topic": "t", name: value}
		return of("kafka", s)
	}
	s3 := func(name string, value any) NewDestination {
		s := map[string]any{"endpoint": "https://s3.example.com", "bucket": "logs", "access_key": "a", "secret_key": "b", name: value}
		return of("s3", s)
	}
	for sentence, c := range map[string]struct {
		n    NewDestination
		want string
	}{
		"a name that is taken":              {NewDestination{Name: "taken", Kind: "file", Streams: results, Settings: map[string]any{"path": "y"}}, "of this name already"},
		"no name":                           {NewDestination{Kind: "file", Streams: results, Settings: map[string]any{"path": "y"}}, "name has between"},
		"a name with a slash":               {NewDestination{Name: "a/b", Kind: "file", Streams: results, Settings: map[string]any{"path": "y"}}, "name has between"},
		"no streams":                        {NewDestination{Name: "n", Kind: "file", Settings: map[string]any{"path": "y"}}, "streams names at least one"},
		"a stream that there is not":        {NewDestination{Name: "n", Kind: "file", Streams: []Stream{"logs"}, Settings: map[string]any{"path": "y"}}, "streams are any of"},
		"a format that there is not":        {NewDestination{Name: "n", Kind: "file", Format: "cef", Streams: results, Settings: map[string]any{"path": "y"}}, "format is muster or esp"},
		"a kind that there is not":          {of("carrier pigeon", nil), "kind is one of file, kafka, s3, syslog, webhook"},
		"no settings":                       {of("file", nil), "path names a file"},
		"a setting that there is not":       {of("file", map[string]any{"path": "y", "mode": "0777"}), `there is no setting "mode"`},
		"a setting of another type":         {of("file", map[string]any{"path": 7}), "path has the wrong type: a number"},
		"a mask for a secret that is new":   {of("webhook", map[string]any{"url": "https://x.example", "secret": Mask}), "secret has to be entered"},
		"a path out of the folder":          {file("../../etc/passwd"), "below the folder"},
		"a path that is the folder":         {file("."), "below the folder"},
		"an absolute path nobody allowed":   {file("/etc/passwd"), "destination_paths allows"},
		"a path out of an allowed one":      {file("/var/log/muster/../auth.log"), "destination_paths allows"},
		"a file of no size":                 {of("file", map[string]any{"path": "y", "max_size_mib": -1}), "max_size_mib"},
		"syslog without a port":             {of("syslog", map[string]any{"address": "logs.example.com"}), "address is a host and a port"},
		"a facility that there is not":      {of("syslog", map[string]any{"address": "logs.example.com:514", "facility": 24}), "facility is between"},
		"a CA that is none":                 {of("syslog", map[string]any{"address": "logs.example.com:514", "ca": "x"}), "ca holds no certificate"},
		"an URL that is none":               {of("webhook", map[string]any{"url": "siem.example.com"}), "url is no URL"},
		"an URL with a password":            {of("webhook", map[string]any{"url": "https://me:" + password + "@siem.example.com"}), "url has a user in it"},
		"the metadata of a cloud":           {of("webhook", map[string]any{"url": "http://169.254.169.254/"}), "link-local"},
		"a body that there is not":          {of("webhook", map[string]any{"url": "https://x.example", "body": "xml"}), "body is lines or array"},
		"a header with a line end":          {of("webhook", map[string]any{"url": "https://x.example", "authorization": "a\r\nb"}), "authorization has"},
		"no brokers":                        {kafka("brokers", []string{}), "brokers names"},
		"a broker without a port":           {kafka("brokers", []string{"a"}), "each of brokers is a host and a port"},
		"a topic with a slash":              {kafka("topic", "a/b"), "topic has letters"},
		"a mechanism that there is not":     {kafka("mechanism", "GSSAPI"), "mechanism is PLAIN"},
		"a password without a mechanism":    {kafka("password", password), "mechanism is missing"},
		"a mechanism without a password":    {kafka("mechanism", "PLAIN"), "username and password"},
		"an endpoint with a path":           {s3("endpoint", "https://s3.example.com/logs"), "without a path"},
		"a bucket with capitals":            {s3("bucket", "Logs"), "bucket has"},
		"no secret key":                     {s3("secret_key", ""), "access_key and secret_key"},
		"an interval of no time":            {s3("interval_seconds", -5), "interval_seconds"},
		"a prefix with a blank":             {s3("prefix", "a b"), "prefix has"},
		"a region that is an injection":     {s3("region", "eu/../x"), "region has"},
		"a message size no broker can take": {kafka("max_message_bytes", 1), "max_message_bytes"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := d.Add(t.Context(), c.n)
			if err == nil || !strings.Contains(fault.Public(err), c.want) || fault.Is(err, fault.Internal) {
				t.Errorf("%v, not %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("it tells the secret: %v", err)
			}
		})
	}
}

// TestSecretsStayWithTheirReceiver: who may change settings but does not know a secret
// cannot have it sent elsewhere.
func TestSecretsStayWithTheirReceiver(t *testing.T) {
	eachYard(t, func(y *yard) {
		d, ctx := y.replica(), y.t.Context()
		y.add(d, NewDestination{Name: "siem", Kind: "webhook", Settings: map[string]any{"url": "https://siem.example.com/in", "secret": password}})
		moved := map[string]any{"url": "https://evil.example.com/in", "secret": Mask}
		if _, _, err := d.Change(ctx, "siem", DestinationChange{Settings: &moved}); !fault.Is(err, fault.Unprocessable) {
			y.t.Errorf("%v", err)
		}
		moved["secret"] = "another"
		_, after, err := d.Change(ctx, "siem", DestinationChange{Settings: &moved})
		if err != nil || after.Settings["url"] != "https://evil.example.com/"+Mask {
			y.t.Errorf("%+v %v", after, err)
		}
		shown := maps.Clone(after.Settings)
		shown["body"] = "array"
		if _, again, err := d.Change(ctx, "siem", DestinationChange{Settings: &shown}); err != nil || again.Settings["url"] != shown["url"] {
			y.t.Errorf("settings as they were shown: %+v %v", again, err)
		}
		rows, err := d.rows(ctx, y.db, "WHERE name = 'siem'")
		y.ok(err)
		if opened, err := d.openedSettings("webhook", rows[0].Settings); err != nil || *opened.secrets()["url"] != "https://evil.example.com/in" {
			y.t.Errorf("settings as they were shown lose the URL: %v", err)
		}
		shown["url"] = "https://elsewhere.example.com/" + Mask
		if _, _, err := d.Change(ctx, "siem", DestinationChange{Settings: &shown}); !fault.Is(err, fault.Unprocessable) {
			y.t.Errorf("a mask at another receiver: %v", err)
		}
		lost := y.replica()
		lost.box = newBox(y.t, 2)
		masked := map[string]any{"url": "https://evil.example.com/in", "secret": Mask}
		if _, _, err := lost.Change(ctx, "siem", DestinationChange{Settings: &masked}); !fault.Is(err, fault.Unprocessable) || !strings.Contains(err.Error(), "entered") {
			y.t.Errorf("with another encryption key: %v", err)
		}
		if err := lost.Test(ctx, "siem"); !fault.Is(err, fault.Unprocessable) {
			y.t.Errorf("with another encryption key: %v", err)
		}
	})
}

func TestRewinding(t *testing.T) {
	eachYard(t, func(y *yard) {
		d, ctx := y.replica(), y.t.Context()
		y.report(10)
		y.add(d, NewDestination{Name: "siem", Kind: "file", Settings: map[string]any{"path": "x"}})
		y.ok(y.db.Write(ctx).Exec("DELETE FROM results WHERE id <= 2").Error)
		for _, c := range []struct {
			stream        Stream
			to            string
			before, after int64
			kind          fault.Kind
		}{
			{StreamResults, RewindBeginning, 10, 2, 0},
			{StreamResults, "5", 2, 5, 0},
			{StreamResults, "0", 5, 2, 0},
			{StreamResults, "99", 2, 10, 0},
			{StreamResults, "4", 10, 4, 0},
			{StreamResults, RewindNow, 4, 10, 0},
			{StreamResults, "-1", 0, 0, fault.Unprocessable},
			{StreamResults, "", 0, 0, fault.Unprocessable},
			{StreamResults, "yesterday", 0, 0, fault.Unprocessable},
			{StreamAlerts, RewindNow, 0, 0, fault.Unprocessable},
			{"x", RewindNow, 0, 0, fault.Unprocessable},
		} {
			before, after, err := d.Rewind(ctx, "siem", c.stream, c.to)
			if c.kind != 0 {
				if !fault.Is(err, c.kind) {
					y.t.Errorf("%s to %s: %v", c.stream, c.to, err)
				}
				continue
			}
			if err != nil || before != c.before || after != c.after || y.progress(d, "siem", c.stream).Position != c.after {
				y.t.Errorf("%s to %s: from %d to %d, %v", c.stream, c.to, before, after, err)
			}
		}
		if _, _, err := d.Rewind(ctx, "other", StreamResults, RewindNow); !fault.Is(err, fault.NotFound) {
			y.t.Errorf("%v", err)
		}
	})
}
