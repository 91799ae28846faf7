package agentapi

import (
	"context"
	"net/http"
	"strings"

	"muster/server/fault"
	"muster/server/hosts"
)

// authenticate returns the host that a request comes from: by the header of
// agents since 5.23 (Authorization: NodeKey KEY), else by the body's node_key.
func (d *Door) authenticate(ctx context.Context, r *http.Request, bodyKey string) (*hosts.Host, error) {
	key := headerKey(r)
	if key == "" {
		key = bodyKey
	}
	if key == "" {
		// A missing key is no fact about any host: enrolling anew would not help.
		return nil, fault.New(fault.Invalid, "node_key is missing")
	}
	return d.Hosts.Authenticate(ctx, key)
}

// headerKey returns the node key of the Authorization header, or "".
func headerKey(r *http.Request) string {
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "NodeKey") {
		return ""
	}
	return strings.TrimSpace(key)
}

// identify reads a small request and authenticates it: with a header before the
// body is read, else by the node_key in it.
func (d *Door) identify(ctx context.Context, r *http.Request, limit int) (*hosts.Host, *fields, error) {
	var host *hosts.Host
	var err error
	if headerKey(r) != "" {
		if host, err = d.authenticate(ctx, r, ""); err != nil {
			return nil, nil, err
		}
	}
	f, err := readFields(r, limit)
	if err != nil {
		return nil, nil, err
	}
	if host == nil {
		host, err = d.authenticate(ctx, r, f.text("node_key"))
	}
	return host, f, err
}

// fields are the members of a small request.
type fields struct{ values map[string][]byte }

func readFields(r *http.Request, limit int) (*fields, error) {
	raw, err := readAll(r, limit)
	if err != nil {
		return nil, err
	}
	f := &fields{values: make(map[string][]byte, 8)}
	if len(trimLeft(raw)) == 0 {
		return f, nil
	}
	value, rest, ok := oneValue(trimLeft(raw)) // bounds the depth before a parser recurses
	if !ok || len(trimLeft(rest)) > 0 {
		return nil, fault.New(fault.Invalid, "the body is no JSON object")
	}
	clean, ok := wellFormed(value)
	if !ok || !members(clean, func(key, value []byte) { f.values[string(key)] = value }) {
		return nil, fault.New(fault.Invalid, "the body is no JSON object")
	}
	return f, nil
}

func (f *fields) text(name string) string  { return text(f.values[name]) }
func (f *fields) number(name string) int64 { return number(f.values[name]) }
