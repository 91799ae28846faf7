package agentapi

import (
	"context"
	"net/http"

	"muster/server/hosts"
)

// maxKeyBody bounds the body of a request for rules: it holds a node key.
const maxKeyBody = 16 << 10

// yaraPaths are patterns of single segments: a subtree would take /yara itself from
// whoever serves pages. The token is a secret: no log may show these paths.
const (
	yaraFilePath = "/yara/{token}/{name}"
	yaraSetPath  = "/yara/set.yar"
)

// mountYARA registers what the yara tables fetch by sigurl. Here, and only here,
// agents look at the status: anything but 200 is a failure. They send no
// Authorization and no User-Agent (osquery-tls 6).
func (d *Door) mountYARA(mux *http.ServeMux) {
	file := d.endpoint("yara", d.yaraFile)
	file.contentType, file.methods = "text/plain; charset=utf-8", []string{http.MethodGet, http.MethodPost}
	set := &endpoint{door: d, name: file.name, slots: file.slots, handle: d.yaraSet,
		contentType: file.contentType, methods: []string{http.MethodPost}}
	mux.Handle(yaraFilePath, file)
	mux.Handle(yaraSetPath, set)
	mux.HandleFunc("/yara/{other}", NotFound)
}

// yaraFile answers the rules of one file. To a GET the token in the path is enough;
// a POST says which host asks, as with yara_sigurl_authenticate, and is answered
// only if that host gets the file.
func (d *Door) yaraFile(ctx context.Context, r *http.Request) ([]byte, error) {
	var host *hosts.Host
	if r.Method != http.MethodGet {
		var err error
		if host, _, err = d.identify(ctx, r, min(maxKeyBody, d.limits.Request)); err != nil {
			return nil, err
		}
	}
	return d.YARA.Fetch(ctx, r.PathValue("token"), r.PathValue("name"), host)
}

// yaraSet answers the rules of every file that the asking host gets.
func (d *Door) yaraSet(ctx context.Context, r *http.Request) ([]byte, error) {
	host, _, err := d.identify(ctx, r, min(maxKeyBody, d.limits.Request))
	if err != nil {
		return nil, err
	}
	return d.YARA.Set(host), nil
}
