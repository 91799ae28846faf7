package outputs

import (
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/outputs/smtptest"
	"muster/server/seal"
)

const password = "hunter2-geheim"

func newBox(t *testing.T, fill byte) *seal.Box {
	t.Helper()
	key := make([]byte, seal.KeySize)
	key[0] = fill
	box, err := seal.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// settings are those for a server of a test, with sign-in.
func settings(s *smtptest.Server) MailSettings {
	return MailSettings{Address: "muster@example.com", Recipients: []string{"soc@example.com", "oncall@example.org"}, Host: s.Host, Port: s.Port, Username: "muster", Password: password}
}

func newMail(t *testing.T, o MailOptions) *Mail {
	t.Helper()
	return NewMail(dbtest.Open(t, database.SQLite), newBox(t, 1), o)
}

func TestMailIsSent(t *testing.T) {
	signIn := smtptest.Options{Username: "muster", Password: password}
	for sentence, c := range map[string]struct {
		server   smtptest.Options
		password string
		tls      bool
	}{
		"STARTTLS and PLAIN":                  {signIn, password, true},
		"STARTTLS and LOGIN":                  {smtptest.Options{Username: "muster", Password: password, Mechanisms: []string{"XOAUTH2", "LOGIN"}}, password, true},
		"TLS from the first byte":             {smtptest.Options{Mode: smtptest.Implicit, Username: "muster", Password: password}, password, true},
		"STARTTLS without sign-in":            {smtptest.Options{}, "", true},
		"no TLS where there is no password":   {smtptest.Options{Mode: smtptest.Plain}, "", false},
		"a server that does not say goodbye":  {smtptest.Options{Answers: map[string]string{"QUIT": smtptest.Drop}}, "", true},
		"a server that only knows a greeting": {smtptest.Options{Mode: smtptest.Plain, Answers: map[string]string{"EHLO": "502 what?"}}, "", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := smtptest.Start(t, c.server)
			o := MailOptions{Roots: server.Roots, Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }}
			if c.server.Mode == smtptest.Implicit {
				o.implicit = server.Port
			}
			m, s := newMail(t, o), settings(server)
			s.Password = c.password
			if err := m.Test(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			got := server.Messages()
			if len(got) != 1 || got[0].TLS != c.tls || got[0].From != s.Address || !cmp.Equal(got[0].To, s.Recipients) || (got[0].Username == "muster") != (c.password != "") {
				t.Fatalf("%+v", got)
			}
			for _, header := range []string{"Subject: " + testSubject, "Date: Sun, 01 Mar 2026 12:00:00 +0000", "To: <soc@example.com>, <oncall@example.org>", "Auto-Submitted: auto-generated", "Message-ID: <"} {
				if !strings.Contains(got[0].Data, header+"") {
					t.Errorf("the mail has no %q:\n%s", header, got[0].Data)
				}
			}
			if strings.Contains(strings.ToUpper(server.Clear()), "AUTH") {
				t.Errorf("a sign-in in clear: %s", server.Clear())
			}
			if _, err := m.Settings(t.Context()); !fault.Is(err, fault.NotFound) {
				t.Errorf("a test stores nothing: %v", err)
			}
		})
	}
}

func TestMailThatFails(t *testing.T) {
	signIn := func(answers map[string]string) smtptest.Options {
		return smtptest.Options{Username: "muster", Password: password, Answers: answers}
	}
	other, _ := x509.SystemCertPool()
	for sentence, c := range map[string]struct {
		server    smtptest.Options
		change    func(*MailSettings, *MailOptions)
		step      Step
		temporary bool
		want      string
	}{
		"nobody listens":                       {signIn(nil), func(s *MailSettings, _ *MailOptions) { s.Port = freePort(t) }, StepConnect, true, "cannot be reached: the connection was refused"},
		"a name that does not exist":           {signIn(nil), func(s *MailSettings, _ *MailOptions) { s.Host = "mail.invalid" }, StepConnect, true, "cannot be reached: "},
		"a server that says nothing":           {signIn(map[string]string{"GREETING": smtptest.Hang}), nil, StepConnect, true, "did not greet: it did not answer in time"},
		"a server that hangs up":               {signIn(map[string]string{"GREETING": smtptest.Drop}), nil, StepConnect, true, "did not greet: the connection broke off"},
		"a server that is full":                {signIn(map[string]string{"GREETING": "421 come back later"}), nil, StepConnect, true, "did not greet: it answered 421"},
		"what is no mail server":               {signIn(map[string]string{"GREETING": "HTTP/1.1 400 root:x:0:0"}), nil, StepConnect, false, "did not greet: what answers there is no mail server"},
		"an answer without an end":             {signIn(map[string]string{"EHLO": strings.Repeat("250-X\n", maxReplies/6+1)}), nil, StepConnect, true, "the connection broke off"},
		"no TLS and a password":                {smtptest.Options{Mode: smtptest.Plain, Username: "muster", Password: password}, nil, StepTLS, false, "offers no TLS, and a password is not sent without"},
		"STARTTLS is refused":                  {signIn(map[string]string{"STARTTLS": "454 no certificate"}), nil, StepTLS, true, "TLS with the mail server failed: it answered 454"},
		"an unknown authority":                 {signIn(nil), func(_ *MailSettings, o *MailOptions) { o.Roots = other }, StepTLS, false, "its certificate is signed by an unknown authority"},
		"a certificate for another name":       {smtptest.Options{WrongName: true, Username: "muster", Password: password}, nil, StepTLS, false, "its certificate is for another name"},
		"TLS where none is spoken":             {signIn(nil), func(s *MailSettings, o *MailOptions) { o.implicit = s.Port }, StepTLS, false, "it does not speak TLS at this port"},
		"an unknown authority without sign-in": {smtptest.Options{}, func(s *MailSettings, o *MailOptions) { o.Roots, s.Password = other, "" }, StepTLS, false, "unknown authority"},
		"a wrong password":                     {signIn(nil), func(s *MailSettings, _ *MailOptions) { s.Password = password + "!" }, StepSignIn, false, "The mail server refused the sign-in: it answered 535"},
		"a way to sign in that we have not":    {smtptest.Options{Username: "muster", Password: password, Mechanisms: []string{"GSSAPI"}}, nil, StepSignIn, false, "offers no sign-in by password"},
		"a sign-in that hangs":                 {signIn(map[string]string{"AUTH": smtptest.Hang}), nil, StepSignIn, true, "it did not answer in time"},
		"a sender that is refused":             {signIn(map[string]string{"MAIL": "550 5.1.8 not you"}), nil, StepSender, false, "refused the sender muster@example.com: it answered 550 5.1.8 not you"},
		"a sign-in that is missed":             {signIn(nil), func(s *MailSettings, _ *MailOptions) { s.Password = "" }, StepSender, false, "it answered 530"},
		"one recipient that is refused":        {signIn(map[string]string{"RCPT TO:<ONCALL@": "550 5.1.1 nobody"}), nil, StepRecipient, false, "refused the recipient oncall@example.org: it answered 550 5.1.1 nobody"},
		"a recipient that is greylisted":       {signIn(map[string]string{"RCPT": "451 4.7.1 later"}), nil, StepRecipient, true, "refused the recipient soc@example.com"},
		"content that is refused":              {signIn(map[string]string{".": "552 too large"}), nil, StepContent, false, "did not take the mail: it answered 552 too large"},
		"a server that drops the mail":         {signIn(map[string]string{"DATA": smtptest.Drop}), nil, StepContent, true, "the connection broke off"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t, c.server)
			s, o := settings(server), MailOptions{Roots: server.Roots, Timeout: 1500 * time.Millisecond}
			if c.change != nil {
				c.change(&s, &o)
			}
			err := newMail(t, o).Test(t.Context(), s)
			var why *MailError
			if !fault.Is(err, fault.Unprocessable) || !errors.As(err, &why) || !strings.Contains(fault.Public(err), c.want) {
				t.Fatalf("got %v", err)
			}
			if why.Step != c.step || why.Temporary != c.temporary {
				t.Errorf("step %s, temporary %v: %v", why.Step, why.Temporary, err)
			}
			for _, secret := range []string{password, "AG11c3Rlcg", "bXVzdGVy"} { // as it is, and in two forms of base64
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells the password: %v", err)
				}
			}
			if strings.Contains(strings.ToUpper(server.Clear()), "AUTH") || len(server.Messages()) > 0 {
				t.Errorf("in clear: %s, taken: %v", server.Clear(), server.Messages())
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	n, _ := strconv.Atoi(port)
	return n
}

func TestSend(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{Username: "muster", Password: password, Answers: map[string]string{"RCPT TO:<GONE@": "550 gone"}})
	m, ctx := newMail(t, MailOptions{Roots: server.Roots}), t.Context()
	if err := m.Send(ctx, Message{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("before mail is configured: %v", err)
	}
	if _, _, err := m.Save(ctx, settings(server)); err != nil {
		t.Fatal(err)
	}
	hostile := "An alert\r\nBcc: evil@example.net\r\n\r\nbody \u00e9\u2028" + strings.Repeat("x", 300)
	if err := m.Send(ctx, Message{Subject: hostile, Text: "one\n.\n..two\r\nthree\n"}); err != nil {
		t.Fatal(err)
	}
	got := server.Messages()[0]
	head, body, _ := strings.Cut(got.Data, "\n\n")
	if strings.Contains(head, "\nBcc:") || len(got.To) != 2 || body != "one\n.\n..two\nthree\n" {
		t.Errorf("%q\n%q", head, body)
	}
	err := m.Send(ctx, Message{To: []string{"gone@example.com", "here@example.com"}, Subject: "x", Text: "y"})
	var why *MailError
	if !errors.As(err, &why) || why.Sent != 1 || why.Step != StepRecipient {
		t.Errorf("one of two: %v", err)
	}
	if got := server.Messages(); len(got) != 2 || !cmp.Equal(got[1].To, []string{"here@example.com"}) {
		t.Errorf("%+v", got)
	}
	for _, to := range []string{"x", "a@b>\r\nRCPT TO:<c@d", "Name <a@b.example>", "a@b.example, c@d.example"} {
		if err := m.Send(ctx, Message{To: []string{to}}); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if len(server.Messages()) != 2 {
		t.Error("a wrong recipient got mail")
	}
}

func TestTooManyMails(t *testing.T) {
	m := newMail(t, MailOptions{})
	for range mailSessions {
		m.slots <- struct{}{}
	}
	err := m.Test(t.Context(), MailSettings{Address: "a@b.example", Recipients: []string{"a@b.example"}, Host: "127.0.0.1", Port: 25})
	if !fault.Is(err, fault.Busy) {
		t.Errorf("got %v", err)
	}
}
