package outputs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"muster/server/dial"
	"muster/server/fault"
)

// shoutrrrSettings are of an alerter for one of the services that shoutrrr speaks:
// Discord, Teams, Telegram, Matrix, Gotify, ntfy, Opsgenie and others.
type shoutrrrSettings struct {
	URL string `json:"url"` // as shoutrrr's documentation has it; a secret from its host on
}

func (s *shoutrrrSettings) check() error {
	_, err := s.service()
	return err
}

// service is the service that the URL names. Its settings are looked at without
// asking anybody, so that a wrong one may show only when something is sent.
func (s *shoutrrrSettings) service() (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil || len(s.URL) > maxURL || u.Scheme == "" {
		return "", fault.New(fault.Unprocessable, "url is no URL of shoutrrr, such as ntfy://HOST/TOPIC")
	}
	name, _, _ := strings.Cut(u.Scheme, "+")
	if _, err := new(router.ServiceRouter).NewService(name); err != nil || name == "logger" {
		return "", fault.New(fault.Unprocessable, "url names no service of shoutrrr")
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && !dial.May(address) {
		return "", fault.New(fault.Unprocessable, "url is a link-local or multicast address, which is not called")
	}
	return name, nil
}

func (s *shoutrrrSettings) secrets() []secret {
	return []secret{{"url", &s.URL, func(plain string) string {
		scheme, _, _ := strings.Cut(plain, ":")
		return scheme + "://" + Mask
	}}}
}

func (s *shoutrrrSettings) receiver() string { return s.URL }

func (s *shoutrrrSettings) alerter(tools) Alerter {
	name, _ := s.service() // it was checked
	return &shoutrrrAlerter{s.URL, name, make(chan struct{}, shoutrrrAtOnce)}
}

type shoutrrrAlerter struct {
	url, service string
	busy         chan struct{} // bounds the deliveries that did not return
}

const (
	shoutrrrAtOnce  = 4
	shoutrrrColumns = 10
	maxShoutrrrText = 1800 // bytes; some services take no more than 2,000 characters
)

// Notify hands a text to the service. shoutrrr's functions take no context and some
// wait for ever, so they run beside us and are left alone when ctx ends. What they
// say of a failure has the URL in it and is not passed on.
func (s *shoutrrrAlerter) Notify(ctx context.Context, n Notice) error {
	select {
	case s.busy <- struct{}{}:
	default:
		return fault.New(fault.Busy, "%s has not ended with what it got before", s.service)
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() { <-s.busy }()
		done <- s.send(cut(textOf(n, shoutrrrColumns), maxShoutrrrText))
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		return nil
	}
	why := networkReason(err)
	if why == "" {
		why = "it did not take the message"
	}
	return fault.Wrap(&sendError{cause: s.service + ": " + why}, fault.Unprocessable, "%s failed: %s", s.service, why)
}

func (s *shoutrrrAlerter) send(text string) (err error) {
	defer func() {
		if p := recover(); p != nil { // nobody else would: it is a goroutine of its own
			err = fmt.Errorf("shoutrrr: %w", errPanic)
		}
	}()
	service, err := new(router.ServiceRouter).Locate(s.url)
	if err != nil {
		return err
	}
	return service.Send(text, &types.Params{})
}

var errPanic = errors.New("panic")
