package agentapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"muster/server/fault"
	"muster/server/hosts"
)

// enroll answers an agent that has no key (osquery-tls 1): {"node_key":"..."},
// or {"node_invalid":true} alone when the secret or the host is refused.
func (d *Door) enroll(ctx context.Context, r *http.Request) ([]byte, error) {
	address := d.Address(r)
	if d.failures.exhausted(address) {
		return nil, fault.New(fault.TooMany, "too many refused enrolments from this address")
	}
	f, err := readFields(r, d.limits.Request)
	if err != nil {
		return nil, err
	}
	key, host, err := d.Hosts.Enroll(ctx, hosts.Enrollment{
		Secret:       f.text("enroll_secret"),
		Identifier:   f.text("host_identifier"),
		PlatformType: f.text("platform_type"),
		Address:      address,
		Details:      f.details(),
	})
	if err != nil {
		if fault.Is(err, fault.Unauthenticated) {
			if errors.Is(err, hosts.ErrWrongSecret) {
				d.failures.count(address)
			}
			if suppressed, due := d.warned.due("enrolment", d.Now()); due {
				d.Log.Warn("an enrolment was refused", "address", address, "host_identifier", clip(f.text("host_identifier"), 255),
					"error", err, "more_like_this", suppressed)
			}
		}
		return nil, err
	}
	d.Log.Info("a host enrolled", "host_id", host.ID, "host_identifier", host.Identifier, "address", address)
	return json.Marshal(map[string]string{"node_key": key})
}

// details reads host_details: the first row of each table, values as strings.
func (f *fields) details() map[string]map[string]string {
	tables := map[string]map[string]string{}
	members(f.values["host_details"], func(table, row []byte) {
		columns := map[string]string{}
		members(row, func(column, value []byte) { columns[string(column)] = text(value) })
		tables[string(table)] = columns
	})
	return tables
}

// failures counts refused enrolments by address. Only failures count: whole
// fleets enrol from behind one address. A host with a wrong secret fails about
// 14 times in ten minutes, so one bad machine does not lock its neighbours out.
type failures struct {
	now       func() time.Time
	mu        sync.Mutex
	addresses map[string]*rate.Limiter
}

const (
	failureBurst  = 100
	failureRefill = rate.Limit(0.5) // a second
	maxAddresses  = 10000
)

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, addresses: map[string]*rate.Limiter{}}
}

func (f *failures) exhausted(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	limiter := f.addresses[address]
	return limiter != nil && limiter.TokensAt(f.now()) < 1
}

func (f *failures) count(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	limiter := f.addresses[address]
	if limiter == nil {
		if len(f.addresses) >= maxAddresses {
			f.forget()
		}
		limiter = rate.NewLimiter(failureRefill, failureBurst)
		f.addresses[address] = limiter
	}
	limiter.AllowN(f.now(), 1)
}

// forget drops the addresses that have recovered, and everything if none has.
func (f *failures) forget() {
	for address, limiter := range f.addresses {
		if limiter.TokensAt(f.now()) >= failureBurst-1 {
			delete(f.addresses, address)
		}
	}
	if len(f.addresses) >= maxAddresses {
		clear(f.addresses)
	}
}
