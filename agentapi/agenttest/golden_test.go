package agenttest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenConfig = `{"options":{"pack_delimiter":"/","logger_min_status":1},
 "decorators":{"load":["select hostname as host from system_info"]},
 "schedule":{"hosts":{"query":"select address, hostnames from etc_hosts where address like '127%'","interval":10},
  "up":{"query":"select days, 'a' || char(10) || 'ü' as text from uptime","interval":10,"snapshot":true},
  "text":{"query":"select 'a' || char(10) || 'ü' as text","interval":10}}}`

// Every request of every version, as bytes: members in osquery's order, numbers
// and strings as that version has them (sections 1 to 5).
func TestTheBytesOfEachVersion(t *testing.T) {
	for _, version := range Versions() {
		for _, platform := range platforms {
			name := fmt.Sprintf("%s-%s", platform, version)
			if platform != Linux && version != Version523 {
				continue
			}
			t.Run(name, func(t *testing.T) {
				server := newReference(t)
				driveThrough(t, server, platform, version)
				golden(t, name+".txt", transcript(server))
			})
		}
	}
}

// driveThrough makes an agent send one of everything.
func driveThrough(t *testing.T, server *reference, platform Platform, version Version) {
	t.Helper()
	server.always("/config", answer{body: goldenConfig})
	server.always("/distributed/read", answer{body: `{"queries":{
		"q1":"select uid, username, description from users where uid < 2 order by uid",
		"q2":"select * from nowhere","q3":"select * from yara_events",
		"q4":"select * from carves where carve=1 and path='/etc/hosts'"},"accelerate":60}`})
	a, _ := server.agent(t, func(o *Options) {
		o.Platform, o.Version = platform, version
		o.Flags = map[string]string{"carver_block_size": "1500"}
		o.Files = map[string][]byte{"/etc/hosts": []byte("127.0.0.1 localhost\n")}
	})
	must(t, a.FetchConfig(t.Context()))
	if _, err := a.RunQueries(t.Context()); err != nil {
		t.Fatal(err)
	}
	must(t, a.PollDistributed(t.Context()))
	must(t, a.RunCarves(t.Context()))
	a.Relay()
	must(t, a.FlushLogs(t.Context()))
	must(t, a.ApplyConfig([]byte(`{"options":{"logger_tls_compress":true}}`)))
	a.AddResult("compressed", map[string]string{"n": "1"})
	must(t, a.FlushLogs(t.Context()))
}

var blockData = regexp.MustCompile(`"data":"([A-Za-z0-9+/=]{64,})"`)

// digest stands for the data of a block.
func digest(data string) string {
	text := blockData.FindStringSubmatch(data)[1]
	return fmt.Sprintf(`"data":"<%d characters, sha256 %.16s>"`, len(text), contentHash("sha256", []byte(text)))
}

var clockwork = regexp.MustCompile(`"(wall_time_ms|user_time|system_time)":\d+`)

// transcript is every request as text: what the server saw of headers and body.
func transcript(server *reference) string {
	var b strings.Builder
	for _, r := range server.requests {
		fmt.Fprintf(&b, "POST %s\n", r.path)
		for _, name := range slices.Sorted(maps.Keys(r.header)) {
			if name != "Content-Length" {
				fmt.Fprintf(&b, "%s: %s\n", name, r.header.Get(name))
			}
		}
		body := blockData.ReplaceAllStringFunc(clockwork.ReplaceAllString(r.body, `"$1":0`), digest)
		fmt.Fprintf(&b, "\n%s\n\n", body)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (run with -update after a look):\n%s", path, diff)
	}
}

func TestTheFourFormsOfAResult(t *testing.T) {
	rows := []row{packRow([]cell{{"n", "-9007199254740993", kindInteger}, {"load", "0.5", kindDouble}, {"gone", "", kindInteger}, {"name", `a"b/ü`, kindText}})}
	r := report{name: "pack/p/q", at: start, epoch: 2, decorations: []field{{"host", "h"}, {"name", "decorated"}}}
	changed, snapshot := r, r
	changed.change = change{removed: rows, added: rows, counter: 3}
	snapshot.snapshot, snapshot.rows = true, rows
	var b strings.Builder
	for _, form := range []lineForm{
		{host: "h", events: true},
		{host: "h", events: false},
		{host: "h", events: true, snapshotEvents: true, numerics: true},
		{host: "h", events: false, numerics: true, topLevel: true},
	} {
		fmt.Fprintf(&b, "events %t, snapshot events %t, numerics %t, top level %t\n", form.events, form.snapshotEvents, form.numerics, form.topLevel)
		for _, line := range append(form.lines(changed), form.lines(snapshot)...) {
			fmt.Fprintf(&b, "%s\n", line)
		}
	}
	golden(t, "forms.txt", b.String())
}

func TestEmptyRunsInEachForm(t *testing.T) {
	for name, test := range map[string]struct {
		form   lineForm
		report report
		lines  int
	}{
		"the event form says nothing of a first run without rows": {lineForm{events: true}, report{change: change{first: true}}, 0},
		"the batch form says so":                                  {lineForm{}, report{change: change{first: true}}, 1},
		"the batch form says nothing of a later run":              {lineForm{}, report{}, 0},
		"an empty snapshot is a line":                             {lineForm{events: true}, report{snapshot: true}, 1},
		"an empty snapshot as events is none":                     {lineForm{snapshotEvents: true}, report{snapshot: true}, 0},
	} {
		test.report.at = start
		wantEqual(t, name, len(test.form.lines(test.report)), test.lines)
	}
}

func TestCalendarTimeIsAsctimeInUTC(t *testing.T) {
	wantEqual(t, "time", time.Unix(1799142004, 0).UTC().Format(asctime), "Tue Jan  5 09:40:04 2027 UTC")
}

func TestHowBytesAreEscapedInDifferentialRows(t *testing.T) {
	for text, want := range map[string][2]string{
		"plain":             {"plain", "plain"},
		"a\nb\x00":          {`a\x0Ab\x00`, `a\x0Ab\x00`},
		"ü":                 {`\xC3\xBC`, "ü"},
		"\xff\xc3(":         {`\xFF\xC3(`, `\xFF\xC3(`},
		`C:\x64`:            {`C:\x64`, `C:\x64`},
		"\U0001F600 \uFFFD": {`\xF0\x9F\x98\x80 \xEF\xBF\xBD`, "\U0001F600 \uFFFD"},
	} {
		wantEqual(t, "before 5.22", escapeBytes(text, false), want[0])
		wantEqual(t, "since 5.22", escapeBytes(text, true), want[1])
	}
}

func TestJSONIsEscapedAsRapidJSONDoes(t *testing.T) {
	wantEqual(t, "text", string(appendString(nil, "\"\\/\b\f\n\r\t\x01\x1f<>&ü\u2028\xff")), `"\"\\/\b\f\n\r\t\u0001\u001F<>&ü`+"\u2028\xff\"")
}
