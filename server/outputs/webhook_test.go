package outputs

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"muster/server/fault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

func TestAPostIsSigned(t *testing.T) {
	server := startReceiver(t, nil)
	r := post{url: server.URL + "/in?token=abc", body: []byte(`{"a":1}`), key: "a key", id: "7", header: http.Header{"Authorization": {"Bearer me"}}}
	if err := newPoster(nil, atNoon).send(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got := server.requests()[0]
	mac := hmac.New(sha256.New, []byte("a key"))
	_, _ = fmt.Fprintf(mac, "%d.%s", noon.Unix(), got.body)
	for name, want := range map[string]string{
		"X-Muster-Timestamp": "1772366400", "X-Muster-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil)), "X-Muster-Delivery": "7",
		"Authorization": "Bearer me", "Content-Type": "application/json", "User-Agent": "Muster",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, not %q", name, got.header.Get(name), want)
		}
	}
	if string(got.body) != `{"a":1}` || got.path != "/in?token=abc" {
		t.Errorf("%+v", got)
	}
}

// A signature that somebody computed with other means (openssl dgst -sha256 -hmac).
func TestASignatureThatIsKnown(t *testing.T) {
	if got, want := sign("key", "1", []byte("x")), "sha256=fc4913c41a7bf793267e2a384f3261c9436ec2cd097bd745e7b0d99113f510ec"; got != want {
		t.Errorf("%s", got)
	}
}

func TestAnswersOfReceivers(t *testing.T) {
	const secret = "t0ps3cret"
	for sentence, c := range map[string]struct {
		answer    func(w http.ResponseWriter, r received)
		want      string // empty: success
		permanent bool
		wait      time.Duration
	}{
		"created":                    {status(201, ""), "", false, 0},
		"nothing to say":             {status(204, ""), "", false, 0},
		"what is wrong stays wrong":  {status(400, ""), "answered 400 Bad Request", true, 0},
		"not allowed":                {status(403, ""), "answered 403 Forbidden", true, 0},
		"moved":                      {moved, "answered 307 Temporary Redirect", true, 0},
		"a timeout of the other":     {status(408, ""), "answered 408 Request Timeout", false, 0},
		"too early":                  {status(425, "3"), "answered 425 Too Early", false, 3 * time.Second},
		"too many":                   {status(429, "120"), "answered 429 Too Many Requests", false, 2 * time.Minute},
		"too many until a date":      {status(429, noon.Add(30*time.Second).Format(http.TimeFormat)), "answered 429 Too Many Requests", false, 30 * time.Second},
		"too many for ever":          {status(429, "99999999999999"), "answered 429 Too Many Requests", false, time.Hour},
		"too many, in the past":      {status(429, "-5"), "answered 429 Too Many Requests", false, 0},
		"too many, nonsense":         {status(429, "soon"), "answered 429 Too Many Requests", false, 0},
		"broken":                     {status(500, ""), "answered 500 Internal Server Error", false, 0},
		"down, back in a minute":     {status(503, "60"), "answered 503 Service Unavailable", false, time.Minute},
		"a status that nobody knows": {status(599, ""), "answered 599", false, 0},
		"no HTTP":                    {hangUp, "cannot be reached: the connection broke off", false, 0},
		"an answer without an end":   {endless, "", false, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := startReceiver(t, c.answer)
			r := post{url: server.URL + "/in/" + secret + "?token=" + secret, body: []byte("{}"), key: secret, header: http.Header{"Authorization": {secret}}}
			err := newPoster(nil, atNoon).send(t.Context(), r)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var cause *sendError
			if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), c.want) || !errors.As(err, &cause) {
				t.Fatalf("%v", err)
			}
			if cause.permanent != c.permanent || cause.wait != c.wait {
				t.Errorf("%+v", cause)
			}
			if err.Error() != fault.Public(err) {
				t.Errorf("the log says it twice: %v", err)
			}
			if strings.Contains(err.Error()+fault.Public(err)+cause.Error(), secret) {
				t.Errorf("the secret is in %v", err)
			}
			if n := len(server.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// status answers with everything that it was sent, secrets included.
func status(code int, retryAfter string) func(http.ResponseWriter, received) {
	return func(w http.ResponseWriter, r received) {
		w.Header().Set("X-Echo", r.path+r.header.Get("Authorization"))
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(code)
		if code != http.StatusNoContent {
			_, _ = fmt.Fprintf(w, "%s %v %s", r.path, r.header, r.body)
		}
	}
}

func moved(w http.ResponseWriter, r received) {
	w.Header().Set("Location", "/elsewhere"+r.path)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func hangUp(w http.ResponseWriter, _ received) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func endless(w http.ResponseWriter, _ received) {
	for range 10_000 {
		if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
			return
		}
	}
}

func TestAPostThatDoesNotArrive(t *testing.T) {
	const secret = "t0ps3cret"
	for sentence, c := range map[string]struct {
		url, want string
		permanent bool
	}{
		"nobody listens":       {"http://127.0.0.1:1/" + secret, "The receiver 127.0.0.1:1 cannot be reached: the connection was refused", false},
		"a name of nobody":     {"http://hooks.invalid/" + secret, "The receiver hooks.invalid cannot be reached: ", false},
		"a metadata service":   {"http://169.254.169.254/" + secret, "link-local and multicast addresses are not called", true},
		"the same in IPv6":     {"http://[::ffff:169.254.169.254]/" + secret, "link-local and multicast addresses are not called", true},
		"nobody in particular": {"http://0.0.0.0/" + secret, "link-local and multicast addresses are not called", true},
		"no URL":               {"://" + secret, "is no URL", true},
	} {
		err := newPoster(nil, atNoon).send(t.Context(), post{url: c.url, body: []byte("{}")})
		var cause *sendError
		if err == nil || !strings.Contains(fault.Public(err), c.want) || !errors.As(err, &cause) || cause.permanent != c.permanent || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestAPostChecksCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of clients that hang up
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	if err := newPoster(roots, atNoon).send(t.Context(), post{url: server.URL}); err != nil {
		t.Error(err)
	}
	err := newPoster(nil, atNoon).send(t.Context(), post{url: server.URL})
	if err == nil || !strings.Contains(fault.Public(err), "its certificate is signed by an unknown authority") {
		t.Error(err)
	}
}

func TestURLsOfReceivers(t *testing.T) {
	for text, want := range map[string]string{
		"https://hooks.example.com/a?b=c": "", "http://10.0.0.1:8080": "", "https://[2001:db8::1]/": "",
		"": "is no URL", "hooks.example.com": "is no URL", "ftp://a/": "is no URL", "https:///x": "is no URL", "https://a b/": "is no URL", "http://a/%zz": "is no URL",
		"https://me:secret@a/": "has a user in it", "http://169.254.169.254/": "is not called", "https://a/" + strings.Repeat("x", maxURL): "has more than",
	} {
		err := checkURL("url", text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the secret is in %v", err)
		}
	}
}
