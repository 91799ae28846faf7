package intel

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster/server/dial"
)

const (
	askTimeout = 20 * time.Second
	maxAnswer  = 4 << 20 // bytes
	// A service that says nothing about how long it wants to be left alone is left alone
	// for leastPause, and none for longer than mostPause.
	leastPause = time.Minute
	mostPause  = time.Hour
)

// caller makes requests to one service. It follows no redirect: the key is for the
// service alone.
type caller struct {
	base     string // without a slash at its end
	key      Key
	settings ServiceSettings
	client   *http.Client
}

// transport is that of all callers, so that connections are used again.
var transport = &http.Transport{
	Proxy: http.ProxyFromEnvironment, DialContext: dial.New().DialContext, ForceAttemptHTTP2: true,
	TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: dial.Timeout,
	MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
}

func newCaller(base string, key Key, settings ServiceSettings) *caller {
	return &caller{base: strings.TrimRight(base, "/"), key: key, settings: settings, client: &http.Client{
		Timeout: askTimeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get asks for a path below the base and decodes the answer, unless the service knows
// nothing there. Errors: errKey, errLimited, errNonsense, and others that say what
// happened on the way, without the address.
func (c *caller) get(ctx context.Context, path string, sign func(*http.Request), into any) (found bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return false, errors.New("the address of the service is wrong")
	}
	return c.do(request, sign, into)
}

// post is get with a form.
func (c *caller) post(ctx context.Context, path string, form url.Values, into any) (found bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return false, errors.New("the address of the service is wrong")
	}
	return c.do(request, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, into)
}

func (c *caller) do(request *http.Request, sign func(*http.Request), into any) (bool, error) {
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "muster")
	sign(request)
	response, err := c.client.Do(request)
	if err != nil {
		var outer *url.Error // repeats the address
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return false, fmt.Errorf("the service cannot be reached: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return false, errKey
	case status == http.StatusTooManyRequests || status == http.StatusNoContent: // the latter is VirusTotal's of old
		return false, errLimited{pauseOf(response.Header.Get("Retry-After"))}
	case status != http.StatusOK && status != http.StatusNotFound && status != http.StatusBadRequest:
		return false, fmt.Errorf("the service answered with status %d", status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return false, errors.New("the answer of the service broke off")
	case len(body) > maxAnswer || !json.Valid(body): // as of a wrong address, whatever its status
		return false, errNonsense
	case response.StatusCode != http.StatusOK: // it knows nothing of the value, or calls it none
		return false, nil
	case json.Unmarshal(body, into) != nil:
		return false, errNonsense
	}
	return true, nil
}

// pauseOf reads Retry-After: seconds, or a date.
func pauseOf(header string) time.Duration {
	wait := leastPause
	if seconds, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		wait = time.Duration(min(seconds, int(mostPause/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, time.Second), mostPause)
}
