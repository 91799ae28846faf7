package agenttest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
)

// FetchYARA asks for the rules behind a signature URL, as the yara tables do for
// each query (section 6): a plain GET, or with yara_sigurl_authenticate a POST of
// the node key, without User-Agent and Authorization. Here the status counts.
func (a *Agent) FetchYARA(ctx context.Context, address string) ([]byte, error) {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	target, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("signature url: %w", err)
	}
	p := post{endpoint: EndpointYARA, method: http.MethodGet, url: target, bare: true}
	if a.flags.bool("yara_sigurl_authenticate") {
		p.method, p.body = http.MethodPost, nodeKeyBody(a.NodeKey())
	}
	answer, err := a.net.send(ctx, p)
	if err == nil && (answer.status != http.StatusOK || len(answer.body) == 0) {
		err = fmt.Errorf("%w: status %d", errRefused, answer.status)
	}
	if err != nil {
		a.failed(ctx, EndpointYARA, err)
		return nil, err
	}
	return answer.body, nil
}

// AllowsYARA reports whether the config lets the yara tables fetch from a signature
// URL: scheme and host are compared as they are, the path is matched as a whole,
// port and query do not count (section 6). FetchYARA does not ask.
func (a *Agent) AllowsYARA(address string) bool {
	target, err := url.Parse(address)
	d := a.currentConfig()
	if err != nil || d == nil {
		return false
	}
	for _, text := range d.signatures {
		entry, err := url.Parse(text)
		if err != nil || entry.Scheme != target.Scheme || entry.Hostname() != target.Hostname() {
			continue
		}
		if pattern, err := regexp.Compile("^(?:" + entry.Path + ")$"); err == nil && pattern.MatchString(target.Path) {
			return true
		}
	}
	return false
}
