package outputs

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"muster/server/fault"
)

// forwardSettings are those of a webhook that lines are posted to.
type forwardSettings struct {
	URL           string `json:"url"`           // a secret from its path on
	Body          string `json:"body"`          // lines: JSON lines; array: a JSON array
	Secret        string `json:"secret"`        // signs requests, see sign; empty: they are not signed
	Authorization string `json:"authorization"` // the header of that name; empty: none
	Bytes         int    `json:"max_bytes"`     // of one request (1 MiB), but for one line at least
	CA            string `json:"ca,omitempty"`  // PEM; empty: the system's
}

const maxForwardBytes = 16 << 20

func (s *forwardSettings) check(DestinationOptions) error {
	if s.Body == "" {
		s.Body = "lines"
	}
	if s.Bytes == 0 {
		s.Bytes = 1 << 20
	}
	switch {
	case s.Body != "lines" && s.Body != "array":
		return fault.New(fault.Unprocessable, "body is lines or array")
	case s.Bytes < 1<<10 || s.Bytes > maxForwardBytes:
		return fault.New(fault.Unprocessable, "max_bytes is between 1024 and %d", maxForwardBytes)
	case len(s.Secret) > maxCredential:
		return fault.New(fault.Unprocessable, "secret has at most %d bytes", maxCredential)
	case len(s.Authorization) > 4*maxCredential || strings.ContainsFunc(s.Authorization, func(r rune) bool { return r < ' ' || r > '~' }):
		return fault.New(fault.Unprocessable, "authorization has at most %d printable characters", 4*maxCredential)
	}
	if _, err := authorities(s.CA); err != nil {
		return err
	}
	return checkURL("url", s.URL)
}

func (s *forwardSettings) secrets() map[string]*string {
	return map[string]*string{"url": &s.URL, "secret": &s.Secret, "authorization": &s.Authorization}
}

func (s *forwardSettings) receiver() string   { return s.URL }
func (s *forwardSettings) batching() batching { return batching{repeats: true} }

func (s *forwardSettings) open(o DestinationOptions) (sender, error) {
	roots, err := authorities(s.CA)
	if err != nil {
		return nil, err
	}
	if roots == nil {
		roots = o.Roots
	}
	return &forwardSender{*s, newPoster(roots, o.Now)}, nil
}

// forwardSender posts a batch in as many requests as its size takes. A batch that is
// repeated has the same requests with the same X-Muster-Delivery.
type forwardSender struct {
	s      forwardSettings
	poster *poster
}

func (f *forwardSender) close() { f.poster.close() }

func (f *forwardSender) send(ctx context.Context, b batch) error {
	header := http.Header{}
	if f.s.Body == "lines" {
		header.Set("Content-Type", "application/x-ndjson")
	}
	if f.s.Authorization != "" {
		header.Set("Authorization", f.s.Authorization)
	}
	for lines, n := b.lines, 0; len(lines) > 0; n++ {
		some := f.some(lines)
		request := post{
			url: f.s.URL, body: f.body(lines[:some]), header: header, key: f.s.Secret,
			id: fmt.Sprintf("%s/%s/%d-%d/%d", b.destination, b.stream, b.first, b.last, n),
		}
		if err := f.poster.send(ctx, request); err != nil {
			return err
		}
		lines = lines[some:]
	}
	return nil
}

// some is how many of the lines one request takes.
func (f *forwardSender) some(lines []line) int {
	size := 0
	for n, l := range lines {
		if size += len(l.text) + 1; size > f.s.Bytes && n > 0 {
			return n
		}
	}
	return len(lines)
}

func (f *forwardSender) body(lines []line) []byte {
	var body bytes.Buffer
	between, end := "\n", "\n"
	if f.s.Body == "array" {
		between, end = ",", "]"
		body.WriteByte('[')
	}
	for n, l := range lines {
		if n > 0 {
			body.WriteString(between)
		}
		body.Write(l.text)
	}
	body.WriteString(end)
	return body.Bytes()
}
