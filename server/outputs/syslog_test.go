package outputs

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/server/fault"
)

func aMessage(text string) syslogMessage {
	return syslogMessage{facility: 16, severity: 4, at: time.Date(2026, 3, 1, 13, 0, 0, 123456789, time.FixedZone("", 3600)), host: "web 1", app: "muster", id: "alert", text: text}
}

func TestSyslogArrivesAsRFC5424(t *testing.T) {
	certificate, roots := testCertificate(t)
	for sentence, secure := range map[string]bool{"over TCP": false, "over TLS": true} {
		t.Run(sentence, func(t *testing.T) {
			var target syslogTarget
			var server *syslogServer
			if secure {
				server = startSyslog(t, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
				target.tls = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
			} else {
				server = startSyslog(t, nil)
			}
			target.address = server.address
			texts := []string{`{"a":"Größe"}`, "two\nlines", strings.Repeat("x", 200_000), ""}
			var messages []syslogMessage
			for _, text := range texts {
				messages = append(messages, aMessage(text))
			}
			if err := target.send(t.Context(), messages...); err != nil {
				t.Fatal(err)
			}
			for _, text := range texts {
				m := server.next(t)
				got := ""
				if m.Message != nil {
					got = *m.Message
				}
				if got != text || *m.Priority != 16*8+4 || *m.Hostname != "web_1" || *m.Appname != "muster" || *m.MsgID != "alert" || m.ProcID != nil || m.StructuredData != nil {
					t.Errorf("%.80q, not %.80q: %+v", got, text, m)
				}
				if want := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC); !m.Timestamp.Equal(want) {
					t.Errorf("at %v", m.Timestamp)
				}
			}
		})
	}
}

func TestSyslogThatFails(t *testing.T) {
	certificate, roots := testCertificate(t)
	plain := startSyslog(t, nil)
	secure := startSyslog(t, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	picky := startSyslog(t, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert})
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	name := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	for sentence, c := range map[string]struct {
		target    syslogTarget
		text      string
		want      string // or one of several, with | between
		permanent bool
	}{
		"nobody listens":                          {syslogTarget{address: "127.0.0.1:1"}, "", "cannot be reached: the connection was refused", false},
		"a metadata address":                      {syslogTarget{address: "169.254.169.254:514"}, "", "link-local and multicast addresses are not called", true},
		"a server without TLS":                    {syslogTarget{address: plain.address, tls: name, timeout: time.Second}, "", "cannot be reached over TLS", false},
		"a certificate of nobody we know":         {syslogTarget{address: secure.address, tls: &tls.Config{ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}}, "", "its certificate is signed by an unknown authority", false},
		"a certificate for another":               {syslogTarget{address: secure.address, tls: &tls.Config{RootCAs: roots, ServerName: "syslog.example.org", MinVersion: tls.VersionTLS12}}, "", "its certificate is for another name", false},
		"a server that wants a certificate of us": {syslogTarget{address: picky.address, tls: name}, "", "it refused TLS with us|the connection broke off", false}, // in TLS 1.3 it says so after the handshake, and may have hung up by then
		"a server that does not do TLS, ever":     {syslogTarget{address: silent.Addr().String(), tls: name, timeout: 50 * time.Millisecond}, "", "it did not answer in time", false},
		"a message that is too large":             {syslogTarget{address: plain.address}, strings.Repeat("x", maxSyslogText+1), "more than 1048576 bytes", true},
	} {
		t.Run(sentence, func(t *testing.T) {
			err := c.target.send(t.Context(), aMessage(c.text))
			var cause *sendError
			says := slices.ContainsFunc(strings.Split(c.want, "|"), func(text string) bool { return strings.Contains(fault.Public(err), text) })
			if !fault.Is(err, fault.Unprocessable) || !says || !errors.As(err, &cause) || cause.permanent != c.permanent {
				t.Errorf("%v", err)
			}
		})
	}
}

// A server that goes away without having read is noticed, although TCP took all.
func TestSyslogNoticesAServerThatResets(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		one := make([]byte, 1)
		_, _ = conn.Read(one)
		_ = conn.Close()
	}()
	err = syslogTarget{address: listener.Addr().String()}.send(t.Context(), aMessage("lost"))
	if err == nil || !strings.Contains(fault.Public(err), "did not take everything: the connection broke off") {
		t.Errorf("%v", err)
	}
}

func FuzzSyslogHeader(f *testing.F) {
	f.Add("web-1", "muster")
	f.Add("a b\n<1>1", "")
	f.Add(strings.Repeat("ö", 300), "\x00")
	f.Fuzz(func(t *testing.T, host, app string) {
		m := aMessage("text")
		m.host, m.app = host, app
		length, rest, _ := strings.Cut(m.frame(), " ")
		fields := strings.Split(rest, " ")
		if len(fields) != 8 || fields[7] != "text" || strings.ContainsAny(rest, "\r\n\x00") || length == "" {
			t.Errorf("%q", m.frame())
		}
	})
}
