package intel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/indicator"
	"muster/server/jobs"
)

// fakeService answers as a service does, and notes what it is asked.
type fakeService struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]string // by path; what is missing is 404 with the body {}
	status  map[string]int
	header  http.Header
	asked   []string
	keys    []string
	forms   []string
	hang    chan struct{} // unless it is nil, answers wait for it
}

func newFakeService(t *testing.T) *fakeService {
	f := &fakeService{answers: map[string]string{}, status: map[string]int{}, header: http.Header{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.answer))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeService) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	body, known := f.answers[r.URL.Path]
	status := f.status[r.URL.Path]
	_ = r.ParseForm()
	user, pass, _ := r.BasicAuth()
	f.asked = append(f.asked, r.URL.Path)
	f.keys = append(f.keys, r.Header.Get("x-apikey")+r.Header.Get("X-OTX-API-KEY")+user+pass+r.PostForm.Get("apikey"))
	f.forms = append(f.forms, r.PostForm.Get("resource"))
	hang := f.hang
	f.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	for name, values := range f.header {
		w.Header()[name] = values
	}
	if !known {
		body, status = "{}", http.StatusNotFound
	}
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = w.Write([]byte(body))
}

func (f *fakeService) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

const scans = `"scans":{"ClamAV":{"detected":true,"result":"Eicar"},"Other":{"detected":false,"result":null}}`

func TestWhatServicesSay(t *testing.T) {
	tests := []struct {
		sentence string
		p        Provider
		base     string
		of       indicator.Type
		values   []string
		settings ServiceSettings
		answers  map[string]string
		want     string // of each value: severity, detected
		asked    string
	}{
		{"VirusTotal v3: enough engines", VirusTotal, "", MD5, []string{someMD5}, ServiceSettings{},
			map[string]string{"/files/" + someMD5: `{"data":{"attributes":{"last_analysis_stats":{"malicious":3,"undetected":60}}}}`}, "LOW true", "/files/" + someMD5},
		{"VirusTotal v3: too few", VirusTotal, "", SHA256, []string{someSHA256}, ServiceSettings{},
			map[string]string{"/files/" + someSHA256: `{"data":{"attributes":{"last_analysis_stats":{"malicious":2},"last_analysis_results":{"ClamAV":{"category":"malicious","result":"x"}}}}}`}, "LOW false", "/files/" + someSHA256},
		{"VirusTotal v3: one that is trusted", VirusTotal, "", SHA256, []string{someSHA256}, ServiceSettings{Engines: map[string]bool{"ClamAV": true}},
			map[string]string{"/files/" + someSHA256: `{"data":{"attributes":{"last_analysis_stats":{"malicious":1},"last_analysis_results":{"ClamAV":{"category":"malicious","result":"x"}}}}}`}, "LOW true", "/files/" + someSHA256},
		{"VirusTotal v3: a domain", VirusTotal, "", Domain, []string{"evil.example"}, ServiceSettings{MinMatches: 1},
			map[string]string{"/domains/evil.example": `{"data":{"attributes":{"last_analysis_stats":{"malicious":1}}}}`}, "LOW true", "/domains/evil.example"},
		{"VirusTotal v3: an address that it does not know", VirusTotal, "", Address, []string{"192.0.2.1"}, ServiceSettings{}, nil, " false", "/ip_addresses/192.0.2.1"},
		{"VirusTotal v2: several at once", VirusTotal, "/v2", MD5, []string{someMD5, "0" + someMD5[1:], "1" + someMD5[1:]}, ServiceSettings{Engines: map[string]bool{"ClamAV": true}},
			map[string]string{"/v2/file/report": `[{"response_code":1,"resource":"` + strings.ToUpper(someMD5) + `","positives":1,"total":60,` + scans + `},{"response_code":0,"resource":"0` + someMD5[1:] + `"},
				{"response_code":1,"resource":"1` + someMD5[1:] + `","positives":5,"total":60}]`}, "LOW true, false,LOW true", "/v2/file/report"},
		{"VirusTotal v2: one", VirusTotal, "/v2", MD5, []string{someMD5}, ServiceSettings{},
			map[string]string{"/v2/file/report": `{"response_code":1,"resource":"` + someMD5 + `","positives":2,` + scans + `}`}, "LOW false", "/v2/file/report"},
		{"X-Force: high", IBMXForce, "", MD5, []string{someMD5}, ServiceSettings{}, map[string]string{"/malware/" + someMD5: `{"malware":{"risk":"high","family":["x"]}}`}, "CRITICAL true", "/malware/" + someMD5},
		{"X-Force: medium", IBMXForce, "", MD5, []string{someMD5}, ServiceSettings{}, map[string]string{"/malware/" + someMD5: `{"malware":{"risk":"Medium"}}`}, "WARNING true", "/malware/" + someMD5},
		{"X-Force: low", IBMXForce, "", MD5, []string{someMD5}, ServiceSettings{}, map[string]string{"/malware/" + someMD5: `{"malware":{"risk":"low"}}`}, " false", "/malware/" + someMD5},
		{"X-Force: an address", IBMXForce, "", Address, []string{"2001:db8::1"}, ServiceSettings{}, map[string]string{"/ipr/2001:db8::1": `{"score":7.1,"cats":{"Bots":80}}`}, "CRITICAL true", "/ipr/2001:db8::1"},
		{"X-Force: a name", IBMXForce, "", Domain, []string{"evil.example"}, ServiceSettings{}, map[string]string{"/url/evil.example": `{"result":{"score":4}}`}, "WARNING true", "/url/evil.example"},
		{"X-Force: a name without a score", IBMXForce, "", Domain, []string{"evil.example"}, ServiceSettings{}, map[string]string{"/url/evil.example": `{"result":{"score":null}}`}, " false", "/url/evil.example"},
		{"OTX: pulses", AlienVault, "", MD5, []string{someMD5}, ServiceSettings{}, map[string]string{"/indicators/file/" + someMD5 + "/general": `{"pulse_info":{"count":2,"pulses":[{"name":"A"},{"name":"B"}]}}`},
			"LOW true", "/indicators/file/" + someMD5 + "/general /indicators/file/" + someMD5 + "/analysis"},
		{"OTX: a scanner", AlienVault, "", MD5, []string{someMD5}, ServiceSettings{}, map[string]string{"/indicators/file/" + someMD5 + "/general": `{"pulse_info":{"count":0}}`,
			"/indicators/file/" + someMD5 + "/analysis": `{"analysis":{"plugins":{"clamav":{"results":{"detection":"Eicar"}},"pe":{"results":{"detection":[]}}}}}`},
			"LOW true", "/indicators/file/" + someMD5 + "/general /indicators/file/" + someMD5 + "/analysis"},
		{"OTX: nothing", AlienVault, "", Address, []string{"192.0.2.1"}, ServiceSettings{}, map[string]string{"/indicators/IPv4/192.0.2.1/general": `{"pulse_info":{"count":0}}`}, "LOW false", "/indicators/IPv4/192.0.2.1/general"},
		{"OTX: an address of IPv6", AlienVault, "", Address, []string{"2001:db8::1"}, ServiceSettings{}, nil, "LOW false", "/indicators/IPv6/2001:db8::1/general"},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			f := newFakeService(t)
			f.answers = test.answers
			c := newCaller(f.URL+test.base, Key{Key: "key-", Pass: "pass"}, test.settings.withDefaults(services[test.p]))
			verdicts, err := services[test.p].Ask(t.Context(), c, test.of, test.values)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, v := range verdicts {
				got = append(got, fmt.Sprint(v.Severity, " ", v.Detected))
				if v.Value != test.values[i] || v.Type != test.of {
					t.Errorf("verdict %d is of %s %s", i, v.Type, v.Value)
				}
			}
			if diff := cmp.Diff([]string{test.want, test.asked}, []string{strings.Join(got, ","), strings.Join(f.requests(), " ")}); diff != "" {
				t.Error(diff)
			}
			for _, key := range f.keys {
				if !strings.HasPrefix(key, "key-") || test.p == IBMXForce && key != "key-pass" {
					t.Errorf("signed with %q", key)
				}
			}
		})
	}
}

func TestWhatServicesMustNotSay(t *testing.T) {
	large := `{"data":"` + strings.Repeat("x", maxAnswer) + `"}`
	for sentence, c := range map[string]struct {
		body   string
		status int
		header http.Header
		want   error
	}{
		"the key is wrong":         {"{}", 401, nil, errKey},
		"the key may not":          {"{}", 403, nil, errKey},
		"too many requests":        {"{}", 429, nil, errLimited{leastPause}},
		"too many, with a time":    {"{}", 429, http.Header{"Retry-After": {"17"}}, errLimited{17 * time.Second}},
		"too many, for ever":       {"{}", 429, http.Header{"Retry-After": {"99999999"}}, errLimited{mostPause}},
		"too many, as of old":      {"", 204, nil, errLimited{leastPause}},
		"no JSON":                  {"<html>", 0, nil, errNonsense},
		"a page for a wrong place": {"<html>", 404, nil, errNonsense},
		"JSON of another kind":     {"[1]", 0, nil, errNonsense},
		"an object of another":     {`{"a":1}`, 0, nil, errNonsense},
		"too much":                 {large, 0, nil, errNonsense},
		"an error of its own":      {"{}", 503, nil, nil},
		"a way elsewhere":          {"{}", 302, http.Header{"Location": {"http://192.0.2.1/steal"}}, nil},
	} {
		for p, service := range services {
			t.Run(sentence+" "+string(p), func(t *testing.T) {
				f := newFakeService(t)
				if c.header != nil {
					f.header = c.header
				}
				for _, path := range []string{"/files/" + someMD5, "/malware/" + someMD5, "/indicators/file/" + someMD5 + "/general"} {
					f.answers[path], f.status[path] = c.body, c.status
				}
				_, err := service.Ask(t.Context(), newCaller(f.URL, Key{Key: "secret-key", Pass: "secret-pass"}, ServiceSettings{}), MD5, []string{someMD5})
				if err == nil || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%v", err)
				}
				if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), someMD5)) {
					t.Errorf("it tells too much: %v", err)
				}
			})
		}
	}
}

// asking is a store with one active service.
func asking(t *testing.T, db *database.DB, p Provider, f *fakeService) (*Store, *Lookups, *clock) {
	t.Helper()
	now := newClock()
	s := newStoreAt(t, db, now)
	s.o.Jobs = jobs.NewQueue(db, s.bus, s.log, jobs.QueueOptions{Now: now.Now})
	if err := s.SetSettings(t.Context(), p, func(o *ServiceSettings) { o.Address = f.URL }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.SetKeys(t.Context(), Change{Set: map[Provider]Key{p: {Key: "secret-key", Pass: map[Provider]string{IBMXForce: "secret-pass"}[p]}}}); err != nil {
		t.Fatal(err)
	}
	l := s.Lookups(p)
	l.wait = func(context.Context, int) error { return nil }
	return s, l, now
}

func offered(t *testing.T, s *Store, values ...Sought) {
	t.Helper()
	if err := s.Offer(t.Context(), values); err != nil {
		t.Fatal(err)
	}
}

func TestValuesAreAskedAboutOnce(t *testing.T) {
	bad, clean := Sought{MD5, someMD5}, Sought{SHA1, someSHA1}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, f := t.Context(), newFakeService(t)
		f.answers["/malware/"+someMD5] = `{"malware":{"risk":"high"}}`
		s, l, now := asking(t, db, IBMXForce, f)
		run := func(sentence string, asked, waiting int) {
			t.Helper()
			if err := l.Run(ctx); err != nil {
				t.Fatal(err)
			}
			_, open, err := s.State(ctx, IBMXForce)
			if len(f.requests()) != asked || open != waiting || err != nil {
				t.Errorf("%s: asked %v, %d wait, %v", sentence, f.requests(), open, err)
			}
		}
		offered(t, s, bad, clean, Sought{Domain, "evil.example"}) // of which it may not be told
		run("new", 2, 0)
		offered(t, s, bad, clean)
		run("again", 2, 0)
		v, err := s.Verdict(ctx, IBMXForce, bad)
		if err != nil || !v.Detected || v.Severity != "CRITICAL" || !strings.Contains(string(v.Report), "high") || !v.Expires.Equal(now.Now().Add(24*time.Hour)) {
			t.Errorf("%+v %v", v, err)
		}
		if _, err := s.Verdict(ctx, IBMXForce, Sought{MD5, "other"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("of another: %v", err)
		}
		found, err := s.Detected(ctx)
		if diff := cmp.Diff(map[Sought][]Provider{bad: {IBMXForce}}, found); err != nil || diff != "" {
			t.Error(err, diff)
		}
		now.pass(25 * time.Hour)
		offered(t, s, bad, clean)
		run("a day later", 3, 0)
		now.pass(7 * 24 * time.Hour)
		offered(t, s, bad, clean)
		run("a week later", 5, 0)
		if err := s.SetSettings(ctx, IBMXForce, func(o *ServiceSettings) { o.Endpoints = true }); err != nil {
			t.Fatal(err)
		}
		offered(t, s, Sought{Domain, "evil.example"})
		run("names are allowed", 6, 0)
		if err := s.SetSettings(ctx, IBMXForce, func(o *ServiceSettings) { o.Off = true }); err != nil {
			t.Fatal(err)
		}
		offered(t, s, Sought{SHA256, someSHA256})
		run("it is off", 6, 0)
		var waiting int
		if err := db.Read(ctx).Raw("SELECT count(*) FROM jobs WHERE kind = ?", VerdictJob).Scan(&waiting).Error; err != nil || waiting != 1 {
			t.Errorf("%d jobs wait, %v", waiting, err)
		}
	})
}

func TestAServiceThatFailsIsLeftAlone(t *testing.T) {
	path := "/files/" + someMD5
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, f := t.Context(), newFakeService(t)
		s, l, now := asking(t, db, VirusTotal, f)
		offered(t, s, Sought{MD5, someMD5})
		answers := func(body string, status int) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.answers[path], f.status[path] = body, status
		}
		steps := []struct {
			sentence string
			body     string
			status   int
			pass     time.Duration
			asked    int
			state    string // failures, error
			next     time.Duration
		}{
			{"it is down", "{}", 500, 0, 1, "1 the service answered with status 500", 30 * time.Second},
			{"it is left alone", "{}", 500, 10 * time.Second, 1, "1 the service answered with status 500", 20 * time.Second},
			{"the value is set aside longer", "{}", 500, 30 * time.Second, 1, "1 the service answered with status 500", -10 * time.Second},
			{"down still", "{}", 500, setAside, 2, "2 the service answered with status 500", time.Minute},
			{"it has had enough", "{}", 429, setAside, 3, "2 the service wants no request for 1m0s", time.Minute},
			{"the key is wrong", "{}", 403, setAside, 4, "3 the service does not accept the key", lastWait},
			{"all is well", `{"data":{"attributes":{}}}`, 0, time.Hour, 5, "0 the service does not accept the key", 0},
		}
		for _, step := range steps {
			answers(step.body, step.status)
			now.pass(step.pass)
			if err := l.Run(ctx); err != nil {
				t.Fatal(err)
			}
			state, _, err := s.State(ctx, VirusTotal)
			next := time.Duration(0)
			if !state.Next.IsZero() {
				next = state.Next.Sub(now.Now())
			}
			got := fmt.Sprint(len(f.requests()), " ", state.Failures, " ", state.LastError, " ", next)
			if want := fmt.Sprint(step.asked, " ", step.state, " ", step.next); got != want || err != nil {
				t.Errorf("%s: %s, not %s, %v", step.sentence, got, want, err)
			}
		}
	})
}

// One value that a service chokes on keeps no other from being asked about.
func TestNonsenseAboutAValueIsGivenUp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, f := t.Context(), newFakeService(t)
		f.answers["/files/"+someMD5] = "<html>"
		s, l, now := asking(t, db, VirusTotal, f)
		offered(t, s, Sought{MD5, someMD5}, Sought{SHA1, someSHA1})
		for n := range maxAttempts + 1 {
			if err := l.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if now.pass(time.Minute); n > 0 {
				now.pass(time.Hour)
			}
		}
		v, err := s.Verdict(ctx, VirusTotal, Sought{MD5, someMD5})
		_, open, stateErr := s.State(ctx, VirusTotal)
		if err != nil || v.Detected || open != 0 || stateErr != nil {
			t.Errorf("%+v, %v; %d wait, %v", v, err, open, stateErr)
		}
		if n := len(f.requests()); n != maxAttempts+1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// A service that hangs ends with its context, and holds up no other.
func TestAServiceThatHangs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		slow, quick := newFakeService(t), newFakeService(t)
		slow.hang = make(chan struct{})
		s, hanging, _ := asking(t, db, VirusTotal, slow)
		if err := s.SetSettings(t.Context(), AlienVault, func(o *ServiceSettings) { o.Address = quick.URL }); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.SetKeys(t.Context(), Change{Set: map[Provider]Key{AlienVault: {Key: "k"}}}); err != nil {
			t.Fatal(err)
		}
		offered(t, s, Sought{MD5, someMD5})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hanging.Run(ctx) }()
		for deadline := time.Now().Add(10 * time.Second); len(slow.requests()) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it is never asked")
			}
		}
		other := s.Lookups(AlienVault)
		other.wait = hanging.wait
		if err := other.Run(t.Context()); err != nil || len(quick.requests()) != 1 {
			t.Errorf("the other: %v, %v", quick.requests(), err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if state, open, err := s.State(t.Context(), VirusTotal); err != nil || open != 1 || state.Failures != 0 {
			t.Errorf("%+v, %d wait, %v", state, open, err)
		}
		close(slow.hang)
	})
}

func TestSettingsOfServices(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, s := t.Context(), newStore(t, db, newBox(t, 1))
		for sentence, change := range map[string]func(*ServiceSettings){
			"no URL":               func(o *ServiceSettings) { o.Address = "example.com" },
			"another scheme":       func(o *ServiceSettings) { o.Address = "file:///etc/passwd" },
			"a password in it":     func(o *ServiceSettings) { o.Address = "https://a:b@example.com" },
			"metadata of a cloud":  func(o *ServiceSettings) { o.Address = "http://169.254.169.254/latest" },
			"a query":              func(o *ServiceSettings) { o.Address = "https://example.com/?apikey=x" },
			"no requests at all":   func(o *ServiceSettings) { o.PerMinute = -1 },
			"a verdict for years":  func(o *ServiceSettings) { o.CleanFor = 1000 * 24 * time.Hour },
			"an engine of no name": func(o *ServiceSettings) { o.Engines = map[string]bool{"": true} },
		} {
			if err := s.SetSettings(ctx, VirusTotal, change); !fault.Is(err, fault.Unprocessable) {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if err := s.SetSettings(ctx, "shodan", func(*ServiceSettings) {}); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("an unknown service: %v", err)
		}
		got, err := s.Settings(ctx)
		want := ServiceSettings{Address: "https://www.virustotal.com/api/v3", PerMinute: 4, MinMatches: 3, FoundFor: 24 * time.Hour, CleanFor: 7 * 24 * time.Hour}
		if diff := cmp.Diff(want, got[VirusTotal]); err != nil || diff != "" || len(got) != len(Providers()) {
			t.Error(err, diff)
		}
	})
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		of    indicator.Type
		value string
		want  bool
	}{
		{MD5, strings.ToUpper(someMD5), true}, {MD5, "3h8dk0sksm0", false}, {MD5, strings.Repeat("0", 32), false}, {SHA256, someMD5, false},
		{Domain, ".www.Example.com", true}, {Domain, "printer.local", false}, {Domain, "localhost", false}, {Domain, "192.0.2.1", false},
		{Address, "8.8.8.8", true}, {Address, "10.0.0.1", false}, {Address, "127.0.0.1", false}, {Address, "100.64.1.1", false}, {Address, "fe80::1", false}, {Address, "2a00::1", true}, {Address, "224.0.0.1", false},
		{Path, "/bin/ls", false},
	} {
		if _, fit := Fit(c.of, c.value); fit != c.want {
			t.Errorf("%s %s: %v", c.of, c.value, fit)
		}
	}
}

// Whoever may change an address must not get a key that is shown to nobody.
func TestAKeyStaysWithItsServer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, ctx := newStoreAt(t, db, newClock()), t.Context()
		move := func(address string) error {
			return s.SetSettings(ctx, VirusTotal, func(o *ServiceSettings) { o.Address = address })
		}
		if _, _, err := s.SetKeys(ctx, Change{Set: map[Provider]Key{VirusTotal: {Key: "k"}}}); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"https://elsewhere.example/api/v3", "http://www.virustotal.com/api/v3", "https://www.virustotal.com:8443/api/v3"} {
			if err := move(address); !fault.Is(err, fault.Unprocessable) {
				t.Errorf("the key goes to %s: %v", address, err)
			}
		}
		if err := move("https://www.virustotal.com/vtapi/v2"); err != nil {
			t.Errorf("another version of the same server: %v", err)
		}
		if _, _, err := s.SetKeys(ctx, Change{Remove: []Provider{VirusTotal}}); err != nil {
			t.Fatal(err)
		}
		if err := move("https://elsewhere.example/api/v3"); err != nil {
			t.Errorf("without a key: %v", err)
		}
	})
}
