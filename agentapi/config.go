package agentapi

import (
	"context"
	"net/http"

	"muster/server/hosts"
)

var unchanged = []byte(`{"etag":"ok"}`)

// config answers an agent's config poll (osquery-tls 2). An agent that sends an
// etag gets {"etag":"ok"} when nothing changed, else the config with its etag;
// one that sends none gets the config without.
func (d *Door) config(ctx context.Context, r *http.Request) ([]byte, error) {
	host, f, err := d.identify(ctx, r, d.limits.Request)
	if err != nil {
		return nil, err
	}
	config, err := d.Schedule.ConfigFor(ctx, host)
	if err != nil {
		return nil, err
	}
	d.Hosts.Seen(host.ID, hosts.ContactConfig, d.Address(r))
	etag, asks := f.values["etag"]
	switch {
	case !asks:
		return config.Plain, nil
	case text(etag) == config.ETag:
		return unchanged, nil
	}
	return config.WithETag, nil
}
