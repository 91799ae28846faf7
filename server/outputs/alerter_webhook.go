package outputs

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster/server/fault"
)

// webhookSettings are of an alerter that posts JSON.
type webhookSettings struct {
	URL           string `json:"url"`           // a secret from its path on
	Secret        string `json:"secret"`        // signs; empty: no signature
	Authorization string `json:"authorization"` // the header of that name; empty: none
	CA            string `json:"ca"`            // PEM; empty: the authorities of the system
}

const (
	minSigningKey = 16
	maxPEM        = 32 << 10
)

func (s *webhookSettings) check() error {
	if err := checkURL("url", s.URL); err != nil {
		return err
	}
	if s.Secret != "" && (len(s.Secret) < minSigningKey || !isCredential(s.Secret)) {
		return fault.New(fault.Unprocessable, "secret has between %d and %d characters", minSigningKey, maxCredential)
	}
	if !isHeaderText(s.Authorization) {
		return fault.New(fault.Unprocessable, "authorization has at most %d printable characters", maxCredential)
	}
	return checkCA(s.CA)
}

func (s *webhookSettings) secrets() []secret {
	return []secret{{"url", &s.URL, shownURL}, {"secret", &s.Secret, nil}, {"authorization", &s.Authorization, nil}}
}

func (s *webhookSettings) receiver() string { return s.URL }

func (s *webhookSettings) alerter(t tools) Alerter {
	roots, _ := authorities(s.CA) // it was checked
	return &webhookAlerter{s, newPoster(roots, t.now), t.now}
}

type webhookAlerter struct {
	settings *webhookSettings
	poster   *poster
	now      func() time.Time
}

// Notify posts what noticeView has.
func (w *webhookAlerter) Notify(ctx context.Context, n Notice) error {
	body, err := json.Marshal(viewNotice(n, w.now()))
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The notice cannot be written")
	}
	r := post{url: w.settings.URL, body: body, key: w.settings.Secret, header: http.Header{}, id: deliveryOf(n)}
	if w.settings.Authorization != "" {
		r.header.Set("Authorization", w.settings.Authorization)
	}
	return w.poster.send(ctx, r)
}

func (w *webhookAlerter) close() { w.poster.close() }

// deliveryOf is the same each time that a notice is delivered, so that receivers
// can tell what they had.
func deliveryOf(n Notice) string {
	return "alert-" + strconv.FormatInt(n.Alert.ID, 10) + "-" + strconv.FormatInt(n.Event.ID, 10)
}

// shownURL is an URL without anything that may be a token.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return Mask
	}
	return u.Scheme + "://" + u.Host + "/" + Mask
}

func isHeaderText(text string) bool {
	return len(text) <= maxCredential && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// checkCA says what is wrong with authorities for settings.
func checkCA(pem string) error {
	if len(pem) > maxPEM {
		return fault.New(fault.Unprocessable, "ca has more than %d bytes", maxPEM)
	}
	_, err := authorities(pem)
	return err
}
