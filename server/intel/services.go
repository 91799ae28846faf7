package intel

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/dial"
	"muster/server/indicator"
)

const servicesSetting = "intel_services"

// ServiceSettings say how a service is used. Zero values are defaults.
type ServiceSettings struct {
	Off       bool   // it is not asked though there is a key
	Address   string // where it is; empty: its own
	PerMinute int    // requests; 0: what its free accounts may make
	// Endpoints lets it be asked about domain names and public addresses too. Hashes tell
	// little of who asks; these do.
	Endpoints bool
	// MinMatches is how many engines of VirusTotal have to agree (3), and Engines whose
	// word alone will do.
	MinMatches int
	Engines    map[string]bool
	// FoundFor and CleanFor are how long a verdict holds before the value is asked about
	// again: a day for what is detected, a week for the rest.
	FoundFor, CleanFor time.Duration
}

// Bounds of settings.
const (
	maxPerMinute = 6000
	maxEngines   = 200
)

func (o ServiceSettings) withDefaults(service Service) ServiceSettings {
	if o.Address == "" {
		o.Address = service.Address()
	}
	if o.PerMinute <= 0 {
		o.PerMinute = service.PerMinute()
	}
	if o.MinMatches <= 0 {
		o.MinMatches = 3
	}
	if o.FoundFor <= 0 {
		o.FoundFor = 24 * time.Hour
	}
	if o.CleanFor <= 0 {
		o.CleanFor = 7 * 24 * time.Hour
	}
	return o
}

// types are what the service is asked about.
func (o ServiceSettings) types(service Service) []indicator.Type {
	return slices.DeleteFunc(slices.Clone(service.Types()), func(t indicator.Type) bool {
		return t == URL || (t == Domain || t == Address) && (!o.Endpoints || isV2(o.Address))
	})
}

// Settings returns how each service is used, with defaults filled in. Faults: those of
// the database.
func (s *Store) Settings(ctx context.Context) (map[Provider]ServiceSettings, error) {
	stored := map[Provider]ServiceSettings{}
	if _, err := s.db.Setting(ctx, servicesSetting, &stored); err != nil {
		return nil, err
	}
	all := map[Provider]ServiceSettings{}
	for p, service := range services {
		all[p] = stored[p].withDefaults(service)
	}
	return all, nil
}

// SetSettings changes how a service is used: change gets what is stored. A key is sent
// to no other server than the one that it was entered for: to move a service, its key
// is removed first. Faults: Unprocessable for an unknown service and for what cannot
// be; nothing is changed then.
func (s *Store) SetSettings(ctx context.Context, p Provider, change func(*ServiceSettings)) error {
	if services[p] == nil {
		return wrong(p, "There is no such service")
	}
	return s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, servicesSetting); err != nil {
			return err
		}
		stored := map[Provider]ServiceSettings{}
		if _, err := tx.Setting(ctx, servicesSetting, &stored); err != nil {
			return err
		}
		before, next := stored[p], stored[p]
		change(&next)
		if err := next.check(p); err != nil {
			return err
		}
		if before.server(p) != next.server(p) {
			keys, err := s.stored(ctx, tx)
			if err != nil {
				return err
			}
			if _, found := keys[p]; found {
				return wrong(p, "The key is for the server as it is: remove the key, change the address, and enter the key again")
			}
		}
		stored[p] = next
		return tx.SetSetting(ctx, servicesSetting, stored)
	})
}

// server is who gets the key.
func (o ServiceSettings) server(p Provider) string {
	at, err := url.Parse(o.withDefaults(services[p]).Address)
	if err != nil {
		return ""
	}
	return strings.ToLower(at.Scheme + "://" + at.Host)
}

func (o *ServiceSettings) check(p Provider) error {
	o.Address = strings.TrimRight(strings.TrimSpace(o.Address), "/")
	if o.Address != "" {
		at, err := url.Parse(o.Address)
		if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
			return wrong(p, "The address is no URL with https:// or http:// and without a name, a password or a query")
		}
		if address, err := netip.ParseAddr(at.Hostname()); err == nil && !dial.May(address) {
			return wrong(p, "Link-local and multicast addresses are not called")
		}
	}
	switch {
	case o.PerMinute < 0 || o.PerMinute > maxPerMinute:
		return wrong(p, "Requests are from 1 to 6000 a minute")
	case o.MinMatches < 0 || o.MinMatches > 1000:
		return wrong(p, "The number of engines is from 1 to 1000")
	case len(o.Engines) > maxEngines:
		return wrong(p, "There are too many engines")
	case o.FoundFor < 0 || o.FoundFor > 365*24*time.Hour || o.CleanFor < 0 || o.CleanFor > 365*24*time.Hour:
		return wrong(p, "A verdict holds for a year at most")
	}
	for name := range o.Engines {
		if name == "" || len(name) > 100 || !plain(name) {
			return wrong(p, "An engine has a name of at most 100 bytes")
		}
	}
	return nil
}

// active are the services that are asked: those with a key that are not off.
func (s *Store) active(ctx context.Context) (map[Provider]ServiceSettings, error) {
	settings, err := s.Settings(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.stored(ctx, s.db)
	if err != nil {
		return nil, err
	}
	for p, o := range settings {
		if _, found := keys[p]; !found || o.Off {
			delete(settings, p)
		}
	}
	return settings, nil
}
