package httpkit

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"muster/server/fault"
)

// Proxies are the networks whose X-Forwarded-For is believed. None are by
// default: a client could write any address there.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks in CIDR form. Fault: Invalid.
func ParseProxies(texts []string) (Proxies, error) {
	proxies := Proxies{}
	for _, text := range texts {
		text = strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil {
				return nil, fault.New(fault.Invalid, "a trusted proxy is neither an address nor a network: %s", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

// Address returns the client's address: the connection's, or, when that is a
// trusted proxy, the last address in X-Forwarded-For that is none.
func (p Proxies) Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	client, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	client = client.Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trust(client); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		client = hop.Unmap().WithZone("")
	}
	return client.String()
}

func (p Proxies) trust(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Token returns the request's token: x-access-token, or Authorization: Bearer
// (the scheme in any case), or "". Never from the URL: URLs end up in logs.
func Token(r *http.Request) string {
	if token := strings.TrimSpace(r.Header.Get("X-Access-Token")); token != "" {
		return token
	}
	scheme, token, found := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
