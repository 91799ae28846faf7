package adminapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/outputs"
	"muster/server/outputs/smtptest"
)

func TestMailSettings(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		server := smtptest.Start(t, smtptest.Options{Username: "johndoe@xyzcomp.com", Password: "geheim", Answers: map[string]string{"RCPT TO:<GONE@": "550 5.1.1 nobody"}})
		w := newWorld(t, db)
		w.api.Mail = outputs.NewMail(db, newBox(t), outputs.MailOptions{Roots: server.Roots, Now: w.clock.Now})
		w.scrub = append(w.scrub, strconv.Itoa(server.Port), "2525")
		asked := map[string]any{
			"emalRecipients": "janedoe@abccomp.com,charliedoe@xyzcomp.com", "email": "johndoe@xyzcomp.com",
			"smtpAddress": server.Host, "password": "geheim", "smtpPort": strconv.Itoa(server.Port),
		}
		w.expect("email_none", "GET", "/email/configure", nil)
		w.expect("email_missing", "POST", "/email/test", nil)
		w.expect("email_test_sent", "POST", "/email/test", asked)
		w.expect("email_none", "GET", "/email/configure", nil)
		w.expect("email_configure", "POST", "/email/configure", asked)
		w.expect("email", "GET", "/email/configure", nil)
		w.expect("email_test", "POST", "/email/test", nil)

		changed := map[string]any{"email": "johndoe@xyzcomp.com", "emailRecipients": []string{"gone@abccomp.com"}, "smtpAddress": server.Host, "smtpPort": server.Port, "password": mask}
		w.expect("email_masked", "POST", "/email/configure", changed)
		w.expect("email_refused_recipient", "POST", "/email/test", nil)
		w.expect("email_wrong_password", "POST", "/email/test", map[string]any{"password": "falsch"})
		changed["smtpAddress"] = "mail.example.com"
		w.expect("email_other_server", "POST", "/email/configure", changed)
		w.expect("email_incomplete", "POST", "/email/configure", map[string]any{"email": "x"})
		w.expect("email_wrong", "POST", "/email/configure", map[string]any{"email": "x", "smtpAddress": "y", "emailRecipients": "z", "smtpPort": 70000})
		w.expect("email_no_address", "POST", "/email/configure", map[string]any{"email": "x\r\nBcc: y@z.example", "smtpAddress": "y", "emailRecipients": "z@y.example"})

		if got := server.Messages(); len(got) != 2 || len(got[1].To) != 2 || !got[1].TLS {
			t.Errorf("%+v", got)
		}
		w.audited([]string{"email.test", "email.set", "email.test", "email.set", "email.test", "email.test"}, "geheim", "falsch")
	})
}

// audited compares what was recorded of settings, oldest first, which never holds
// the secrets.
func (w *world) audited(want []string, secrets ...string) {
	w.t.Helper()
	var got []string
	for _, e := range w.audit() {
		if !strings.HasPrefix(e.Action, "login") && !strings.HasPrefix(e.Action, "user.") {
			got = append([]string{e.Action}, got...)
		}
		text, err := json.Marshal(e)
		w.ok(err)
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				w.t.Errorf("the trail holds %s: %s", secret, text)
			}
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.t.Errorf("recorded: %v", got)
	}
}

func TestIntelKeys(t *testing.T) {
	each(t, func(w *world) {
		const ibmKey, ibmPass = "304020f8-99fd-4a17-9e72-80033278810a", "6710f119-9966-4d94-a7ad-9f98e62373c8"
		w.expect("apikeys_none", "GET", "/management/apikeys", nil)
		w.expect("apikeys_set", "POST", "/management/apikeys", map[string]any{
			"IBMxForceKey": ibmKey, "IBMxForcePass": ibmPass,
			"vt_key": "69f922502ee0ea958fa0ead2979257bd084fa012c283ef9540176ce857ac6f2c", "otx_key": "69f922502ee0ea958fa0ead2979257bd084fa012c",
		})
		w.expect("apikeys", "GET", "/management/apikeys", nil)
		w.expect("apikeys_unchanged", "POST", "/management/apikeys", map[string]any{"IBMxForceKey": nil, "vt_key": "", "otx_key": "********a012"})
		w.expect("apikeys_half", "POST", "/management/apikeys", map[string]any{"IBMxForceKey": "x", "vt_key": "another-one-that-is-long"})
		w.expect("apikeys_removed", "POST", "/management/apikeys", map[string]any{"remove": "virustotal,alienvault"})
		w.expect("apikeys_unknown", "POST", "/management/apikeys", map[string]any{"remove": []string{"shodan"}})
		w.expect("apikeys_in_url", "POST", "/management/apikeys?vt_key=from-the-address", nil)
		w.expect("apikeys_left", "GET", "/management/apikeys", nil)
		w.audited([]string{"apikeys.set", "apikeys.set", "apikeys.set"}, ibmKey, ibmPass, "6f2c", "a012")
	})
}

func TestRetentionSettings(t *testing.T) {
	each(t, func(w *world) {
		w.expect("purge_default", "GET", "/purge/update", nil)
		w.expect("purge_update", "POST", "/purge/update", map[string]any{"days": "14"})
		w.expect("purge", "GET", "/management/purge/update", nil)
		w.expect("purge_missing", "POST", "/management/purge/update", nil)
		for _, days := range []any{0, -1, 3651, "x", nil, 1.5} {
			if status, body := w.do("POST", "/purge/update", map[string]any{"days": days}); status != http.StatusBadRequest {
				t.Errorf("%v days: %d %s", days, status, body)
			}
		}
		w.expect("platform", "GET", "/management/settings", nil)
		w.expect("platform_set", "PUT", "/management/settings", map[string]any{"purge_data_duration": 21, "alert_aggregation_duration": "90", "alert_days": 90})
		w.expect("platform_after", "GET", "/management/settings", nil)
		w.expect("platform_neither", "POST", "/management/settings", nil)
		w.expect("platform_wrong", "PUT", "/management/settings", map[string]any{"purge_data_duration": 0, "alert_aggregation_duration": 0})
		keep, err := w.deps.Results.Retention(t.Context(), w.deps.Keep)
		if err != nil || keep.ResultsDays != 21 || keep.StatusDays != 21 || keep.LiveDays != 30 {
			t.Errorf("%+v, %v", keep, err)
		}
		w.audited([]string{"retention.set", "retention.set", "alerts.aggregation.set", "alerts.days.set"})
	})
}

func TestOptionsAreRecorded(t *testing.T) {
	each(t, func(w *world) {
		for _, options := range []map[string]any{
			{"same": 1, "gone": "x", "custom_api_key": "geheim-1"}, {"same": 1, "custom_api_key": "geheim-2", "schedule_splay_percent": 5},
		} {
			if status, body := w.do("POST", "/options/add", map[string]any{"option": options}); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
		}
		w.audited([]string{"options.set", "options.set"}, "geheim-1", "geheim-2", `"same"`+`:2`)
		detail, err := json.Marshal(w.audit()[0].Detail)
		w.ok(err)
		want := `{"after":{"custom_api_key":"********","schedule_splay_percent":5},"before":{"custom_api_key":"********","gone":"x"}}`
		if string(detail) != want {
			t.Errorf("%s", detail)
		}
		before := len(w.audit())
		w.expect("options_dry_run", "POST", "/options/add", map[string]any{"option": map[string]any{"schedule_splay_percent": 6}, "dry_run": true})
		w.expect("options_after_dry_run", "GET", "/options", nil)
		if len(w.audit()) != before {
			t.Error("a dry run is recorded")
		}
	})
}

func TestSchema(t *testing.T) {
	w := newWorld(t, dbtest.Open(t, database.SQLite)) // no table of ours is asked
	w.expect("schema_table", "GET", "/schema/account_policy_data", nil)
	w.expect("schema_alias", "GET", "/schema/HOSTS", nil)
	w.expect("schema_unknown", "GET", "/schema/no_such_table", nil)
	w.expect("schema_wrong", "GET", "/schema?export_type=xml", nil)
	var sql struct {
		Status, Message string
		Data            map[string]string
		Tables          map[string]tableNote
	}
	if status, body := w.do("GET", "/schema", nil); status != http.StatusOK || json.Unmarshal(body, &sql) != nil {
		t.Fatalf("%d %s", status, body)
	}
	if len(sql.Data) != 286 || len(sql.Tables) != 286 || !strings.HasPrefix(sql.Data["users"], "CREATE TABLE users (uid BIGINT, ") || !sql.Tables["process_events"].Evented {
		t.Errorf("%d tables, %s", len(sql.Data), sql.Data["users"])
	}
	var views struct{ Data []tableView }
	if status, body := w.do("GET", "/schema", map[string]any{"export_type": "json"}); status != http.StatusOK || json.Unmarshal(body, &views) != nil {
		t.Fatalf("%d %s", status, body)
	}
	if len(views.Data) != 286 || views.Data[0].Name != "account_policy_data" || views.Data[0].Schema["uid"] != (columnView{Type: "BIGINT"}) || len(views.Data[0].Platform) != 1 {
		t.Errorf("%d tables, %+v", len(views.Data), views.Data[0])
	}
}
