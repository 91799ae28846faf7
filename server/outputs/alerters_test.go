package outputs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestSomeAlertersAreThereFromTheStart(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r, ctx := newRig(t, db, MailOptions{}), t.Context()
		all, err := r.alerters.List(ctx)
		r.ok(err)
		var got []string
		for _, one := range all {
			got = append(got, one.Name+" "+one.Kind+" "+string(one.Settings))
			if !one.BuiltIn || one.Active != (one.Name != "rsyslog") || !one.Created.IsZero() {
				t.Errorf("%+v", one)
			}
			if _, err := r.alerters.Delete(ctx, one.Name); !fault.Is(err, fault.Conflict) {
				t.Errorf("%s is deleted: %v", one.Name, err)
			}
		}
		if diff := cmp.Diff([]string{
			`debug debug {"level":"warn"}`, `email email {"recipients":[],"digest":false,"digest_minutes":0,"digest_hour":8}`,
			`rsyslog rsyslog {"address":"","tls":false,"ca":"","facility":16,"service_key":""}`,
		}, got); diff != "" {
			t.Error(diff)
		}
		on, off := true, false
		for name, c := range map[string]ReceiverChange{"rsyslog": {Active: &on}, "debug": {Active: &off}} {
			if _, _, err := r.alerters.Change(ctx, name, c); !fault.Is(err, fault.Unprocessable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, c := range map[string]ReceiverChange{
			"rsyslog": {Active: &on, Settings: json.RawMessage(`{"address":"log.example.com:514"}`)}, "email": {Active: &off},
			"debug": {Settings: json.RawMessage(`{"level":"debug"}`)},
		} {
			if _, _, err := r.alerters.Change(ctx, name, c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := r.alerters.Change(ctx, "nobody", ReceiverChange{}); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestSecretsOfAlertersAreSealedAndStayWithTheirReceiver(t *testing.T) {
	const start = `{"url":"https://hooks.example.com/in/tok3n","secret":"a signing k3y of ours","authorization":"Bearer tok3n"}`
	const shown = `{"url":"https://hooks.example.com/********","secret":"********","authorization":"********","ca":""}`
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{})
		for sentence, c := range map[string]struct {
			change string
			want   webhookSettings // the zero value: refused
		}{
			"what is not sent stays":            {`{"authorization":"Bearer other"}`, webhookSettings{"https://hooks.example.com/in/tok3n", "a signing k3y of ours", "Bearer other", ""}},
			"what was shown stays":              {shown, webhookSettings{"https://hooks.example.com/in/tok3n", "a signing k3y of ours", "Bearer tok3n", ""}},
			"what is empty goes":                {`{"secret":"","authorization":""}`, webhookSettings{URL: "https://hooks.example.com/in/tok3n"}},
			"another receiver gets no secret":   {`{"url":"https://evil.example/"}`, webhookSettings{}},
			"not with the mask either":          {`{"url":"https://evil.example/","secret":"********"}`, webhookSettings{}},
			"it gets those that are sent":       {`{"url":"https://b.example/","secret":"a signing k3y of ours","authorization":""}`, webhookSettings{URL: "https://b.example/", Secret: "a signing k3y of ours"}},
			"a mask for another host":           {`{"url":"https://evil.example/********"}`, webhookSettings{}},
			"a secret that begins like a mask":  {`{"authorization":"********x"}`, webhookSettings{}},
			"a field that there is not":         {`{"uri":"https://b.example/"}`, webhookSettings{}},
			"a number for a text":               {`{"url":7}`, webhookSettings{}},
			"no object":                         {`[]`, webhookSettings{}},
			"a header with a line end":          {`{"authorization":"a\r\nX-B: c"}`, webhookSettings{}},
			"a signing key that can be guessed": {`{"secret":"short"}`, webhookSettings{}},
			"an authority that is none":         {`{"ca":"-----BEGIN"}`, webhookSettings{}},
		} {
			t.Run(sentence, func(t *testing.T) {
				ctx := t.Context()
				_, _ = r.alerters.Delete(ctx, "hook")
				added, err := r.alerters.Add(ctx, NewReceiver{Name: "hook", Kind: "webhook", Active: true, Settings: json.RawMessage(start)})
				r.ok(err)
				if string(added.Settings) != shown {
					t.Fatalf("%s", added.Settings)
				}
				_, after, err := r.alerters.Change(ctx, "hook", ReceiverChange{Settings: json.RawMessage(c.change)})
				want := c.want
				if want == (webhookSettings{}) {
					if !fault.Is(err, fault.Unprocessable) || strings.Contains(err.Error(), "k3y") || strings.Contains(err.Error(), "tok3n") {
						t.Errorf("%+v, %v", after, err)
					}
					r.ok(json.Unmarshal([]byte(start), &want)) // nothing changed
				} else if err != nil {
					t.Error(err)
				}
				row, err := findReceiver(ctx, db, "hook")
				r.ok(err)
				got, lost := r.alerters.opened(row)
				if diff := cmp.Diff(&want, got); diff != "" || len(lost) > 0 || strings.Contains(row.Settings, "k3y") || strings.Contains(row.Settings, "tok3n") {
					t.Error(diff, lost, row.Settings)
				}
			})
		}
	})
}

func TestAlertersWhoseSecretsAreLost(t *testing.T) {
	r, ctx := sqliteRig(t), t.Context()
	r.add("hook", "webhook", map[string]any{"url": "https://a.example/tok3n", "secret": "a signing k3y of ours"})
	r.alerters.Box = newBox(t, 2)
	found, err := r.alerters.Find(ctx, "hook")
	if r.ok(err); string(found.Settings) != `{"url":"********","secret":"********","authorization":"","ca":""}` {
		t.Errorf("%s", found.Settings)
	}
	if err := r.alerters.Test(ctx, "hook"); !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), "has to be entered again") {
		t.Error(err)
	}
	if _, _, err := r.alerters.Change(ctx, "hook", ReceiverChange{Settings: json.RawMessage(`{"url":"https://a.example/new"}`)}); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("the signing key is lost too: %v", err)
	}
	_, _, err = r.alerters.Change(ctx, "hook", ReceiverChange{Settings: json.RawMessage(`{"url":"https://a.example/new","secret":"a signing key of ours"}`)})
	r.ok(err)
}

func TestAlertersThatAreWrong(t *testing.T) {
	key := strings.Repeat("k", 32)
	for sentence, c := range map[string]struct{ name, kind, settings, want string }{
		"no name":                      {"", "debug", "{}", "name has up to 64"},
		"a name with a comma":          {"a,b", "debug", "{}", "name has up to 64"},
		"a name with a slash":          {"a/b", "debug", "{}", "name has up to 64"},
		"a name that is too long":      {strings.Repeat("a", 65), "debug", "{}", "name has up to 64"},
		"a name that is an address":    {"failed", "debug", "{}", "neither add nor failed"},
		"no kind":                      {"x", "", "{}", "no kind of alerter"},
		"a level of nobody":            {"x", "debug", `{"level":"loud"}`, "level is one of"},
		"a recipient with a line end":  {"x", "email", `{"recipients":["a@example.com\r\nBcc: b@example.com"]}`, "no mail address"},
		"a digest in the past":         {"x", "email", `{"digest_minutes":-1}`, "digest_minutes"},
		"a digest at noon plus one":    {"x", "email", `{"digest_hour":24}`, "digest_hour"},
		"a webhook without an address": {"x", "webhook", `{}`, "url is no URL"},
		"an address in the metadata":   {"x", "webhook", `{"url":"http://169.254.169.254/latest"}`, "not called"},
		"an address with a user":       {"x", "slack", `{"url":"https://me:pass@hooks.slack.com/x"}`, "has a user in it"},
		"a key that is too short":      {"x", "pagerduty", `{"routing_key":"abc"}`, "routing_key has 32"},
		"a prefix with a blank":        {"x", "pagerduty", `{"routing_key":"` + key + `","dedup_prefix":"a b"}`, "dedup_prefix"},
		"a service of nobody":          {"x", "shoutrrr", `{"url":"nobody://host/"}`, "no service of shoutrrr"},
		"shoutrrr's own log":           {"x", "shoutrrr", `{"url":"logger://"}`, "no service of shoutrrr"},
		"shoutrrr to the metadata":     {"x", "shoutrrr", `{"url":"generic://169.254.169.254/latest"}`, "not called"},
		"no service at all":            {"x", "shoutrrr", `{"url":"just text"}`, "no URL of shoutrrr"},
		"syslog without a port":        {"x", "rsyslog", `{"address":"log.example.com"}`, "HOST:PORT"},
		"syslog with a high port":      {"x", "rsyslog", `{"address":"log.example.com:65536"}`, "HOST:PORT"},
		"a facility that is none":      {"x", "rsyslog", `{"address":"log.example.com:514","facility":24}`, "facility"},
		"an authority without TLS":     {"x", "rsyslog", `{"address":"log.example.com:514","ca":"x"}`, "ca says whom to trust"},
		"settings that are too large":  {"x", "debug", `{"level":"` + strings.Repeat("x", maxSettings) + `"}`, "settings has more than"},
		"a name that is taken":         {"debug", "debug", "{}", "already"},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := sqliteRig(t)
			_, err := r.alerters.Add(t.Context(), NewReceiver{Name: c.name, Kind: c.kind, Settings: json.RawMessage(c.settings)})
			if !(fault.Is(err, fault.Unprocessable) || fault.Is(err, fault.Conflict)) || !strings.Contains(fault.Public(err), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func FuzzSettings(f *testing.F) {
	f.Add("webhook", `{"url":"https://a.example/"}`)
	f.Add("email", `{"recipients":["a@example.com"]}`)
	f.Add("shoutrrr", `{"url":"ntfy://h/t"}`)
	f.Add("rsyslog", `{"address":"a:1","facility":null}`)
	f.Fuzz(func(t *testing.T, kind, text string) {
		blank, known := kinds[kind]
		if !known {
			return
		}
		s := blank()
		if err := decodeSettings(json.RawMessage(text), s); err != nil {
			if !fault.Is(err, fault.Unprocessable) {
				t.Error(err)
			}
			return
		}
		if s.check() == nil {
			_ = s.alerter(tools{}) // settings that were checked make an alerter
		}
	})
}

func FuzzRow(f *testing.F) {
	f.Add([]byte(`{"a":"b","c":1e9,"d":{"e":[null]}}`), []byte(`[{"field":"a","value":{}},7]`))
	f.Fuzz(func(t *testing.T, row, why []byte) {
		for _, c := range columnsOf(row, 10, 50) {
			if len(c.value) > 50 {
				t.Errorf("%d bytes", len(c.value))
			}
		}
		for _, line := range reasons(why) {
			if strings.ContainsAny(line, "\r\n") || len([]rune(line)) > maxReasonLen {
				t.Errorf("%q", line)
			}
		}
	})
}
