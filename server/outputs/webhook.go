package outputs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster/server/dial"
	"muster/server/fault"
)

const (
	postTimeout   = 15 * time.Second // of a whole request
	maxAnswer     = 64 << 10         // bytes of an answer that are read, and of its header
	maxRetryAfter = time.Hour
	maxURL        = 2048

	// Headers of a signed request; see sign.
	headerTimestamp = "X-Muster-Timestamp"
	headerSignature = "X-Muster-Signature"
	headerDelivery  = "X-Muster-Delivery"
)

// post is one request to a receiver.
type post struct {
	url    string
	body   []byte
	header http.Header // more than Content-Type, which is application/json
	key    string      // signs the request; empty: not signed
	id     string      // the same each time that this is delivered; empty: none
}

// poster sends requests over HTTP. It is safe for concurrent use.
type poster struct {
	client *http.Client
	now    func() time.Time
}

// newPoster returns a poster that checks certificates against roots; nil: the
// system's. Proxies are those of the environment.
func newPoster(roots *x509.CertPool, now func() time.Time) *poster {
	return &poster{now: now, client: &http.Client{
		Timeout: postTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dial.New().DialContext, ForceAttemptHTTP2: true,
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: dial.Timeout, MaxResponseHeaderBytes: maxAnswer,
			MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
		},
		// What is signed and authorized for one address is not sent to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// close ends connections that are idle.
func (p *poster) close() { p.client.CloseIdleConnections() }

// send posts and takes any status from 200 to 299 for success. The answer's body is
// read up to a bound and thrown away. Redirects are not followed. Faults:
// Unprocessable, whose cause is a *sendError: permanent for answers that the same
// request would get again. No text of them holds more of the URL than its host,
// or anything of the answer but its status.
func (p *poster) send(ctx context.Context, r post) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		return fault.Wrap(&sendError{permanent: true, cause: "the address is no URL"}, fault.Unprocessable, "The address of the receiver is no URL")
	}
	request.Header.Set("User-Agent", "Muster")
	request.Header.Set("Content-Type", "application/json")
	for name, values := range r.header {
		request.Header[name] = values
	}
	if r.id != "" {
		request.Header.Set(headerDelivery, r.id)
	}
	if r.key != "" {
		at := strconv.FormatInt(p.now().Unix(), 10)
		request.Header.Set(headerTimestamp, at)
		request.Header.Set(headerSignature, sign(r.key, at, r.body))
	}
	receiver := "The receiver " + request.URL.Host
	response, err := p.client.Do(request)
	if err != nil {
		return unsent(err, receiver, "cannot be reached")
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	return p.judge(response, receiver)
}

// sign is what the header X-Muster-Signature says: HMAC-SHA256 with the key over
// the text of X-Muster-Timestamp, a full stop and the body, in hexadecimal after
// "sha256=". A receiver computes the same, compares in constant time, and refuses
// timestamps that are some minutes old.
func sign(key, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// judge makes a fault of an answer that is no success.
func (p *poster) judge(response *http.Response, receiver string) error {
	status := response.StatusCode
	if status/100 == 2 {
		return nil
	}
	e := &sendError{permanent: status < 500}
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		e.permanent = false
	}
	if !e.permanent {
		e.wait = retryAfter(response.Header.Get("Retry-After"), p.now())
	}
	return fault.Wrap(e, fault.Unprocessable, "%s answered %s", receiver, strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status))))
}

// retryAfter reads the header Retry-After: seconds or a date; 0 for anything else.
func retryAfter(text string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// checkURL reports what is wrong with the address of a receiver. field names it.
// Faults: Unprocessable, without the address.
func checkURL(field, text string) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return fault.New(fault.Unprocessable, "%s has more than %d bytes", field, maxURL)
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return fault.New(fault.Unprocessable, "%s is no URL that begins with https:// or http://", field)
	case u.User != nil:
		return fault.New(fault.Unprocessable, "%s has a user in it, which belongs into a header", field)
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && !dial.May(address) {
		return fault.New(fault.Unprocessable, "%s is a link-local or multicast address, which is not called", field)
	}
	return nil
}
