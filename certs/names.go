package certs

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxAddresses bounds the addresses in a certificate: a machine that runs many
// containers has hundreds, and agents receive the certificate on every request.
const maxAddresses = 64

// Names is what a server certificate stands for.
type Names struct {
	Hostnames []string
	Addresses []net.IP
}

var hostnamePattern = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// LocalNames returns what this machine is called: its hostname, its full name
// when it is known, localhost, the address of every interface except link-local
// ones, and extra, which may hold hostnames, wildcards and addresses. It looks
// names up for at most two seconds. An extra name that cannot stand in a
// certificate is an error.
func LocalNames(ctx context.Context, extra []string) (Names, error) {
	names := Names{Hostnames: []string{"localhost"}}
	if hostname, err := os.Hostname(); err == nil {
		hostname = strings.ToLower(hostname)
		names.addHostnames(append([]string{hostname}, fullNames(ctx, hostname)...))
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return Names{}, fmt.Errorf("list the interface addresses: %w", err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLinkLocalUnicast() && len(names.Addresses) < maxAddresses {
			names.Addresses = append(names.Addresses, network.IP)
		}
	}
	for _, text := range extra {
		if err := names.add(text); err != nil {
			return Names{}, err
		}
	}
	return names.normal(), nil
}

// add takes a name as an operator writes it.
func (n *Names) add(text string) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		n.Addresses = append(n.Addresses, address.WithZone("").Unmap().AsSlice())
		return nil
	}
	hostname := strings.TrimSuffix(strings.ToLower(text), ".")
	if !validHostname(hostname) {
		return fmt.Errorf("%q is neither a hostname nor an address (no port, no scheme; write international names in punycode)", text)
	}
	n.Hostnames = append(n.Hostnames, hostname)
	return nil
}

// addHostnames leaves out what cannot stand in a certificate: what a machine
// calls itself is not always a name.
func (n *Names) addHostnames(hostnames []string) {
	for _, hostname := range hostnames {
		if validHostname(hostname) {
			n.Hostnames = append(n.Hostnames, hostname)
		}
	}
}

func validHostname(hostname string) bool {
	return len(hostname) <= 253 && hostnamePattern.MatchString(hostname)
}

// fullNames asks the resolver (and so /etc/hosts) what the machine's addresses
// are called. Only names that continue the hostname count: an address may be
// called anything by whoever runs its reverse zone.
func fullNames(ctx context.Context, hostname string) []string {
	if strings.Contains(hostname, ".") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, hostname)
	if err != nil {
		return nil
	}
	var found []string
	for _, address := range addresses {
		names, err := net.DefaultResolver.LookupAddr(ctx, address)
		if err != nil {
			continue
		}
		for _, name := range names {
			name = strings.TrimSuffix(strings.ToLower(name), ".")
			if strings.HasPrefix(name, hostname+".") {
				found = append(found, name)
			}
		}
	}
	return found
}

// normal returns the names sorted, once each, addresses in their shortest form.
func (n Names) normal() Names {
	hostnames := make([]string, 0, len(n.Hostnames))
	for _, hostname := range n.Hostnames {
		hostnames = append(hostnames, strings.TrimSuffix(strings.ToLower(hostname), "."))
	}
	slices.Sort(hostnames)
	addresses := make([]net.IP, 0, len(n.Addresses))
	for _, address := range n.Addresses {
		if short := address.To4(); short != nil {
			address = short
		}
		addresses = append(addresses, address)
	}
	slices.SortFunc(addresses, func(a, b net.IP) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(a, b))
	})
	return Names{
		Hostnames: slices.Compact(hostnames),
		Addresses: slices.CompactFunc(addresses, func(a, b net.IP) bool { return a.Equal(b) }),
	}
}

func (n Names) equal(other Names) bool {
	a, b := n.normal(), other.normal()
	return slices.Equal(a.Hostnames, b.Hostnames) && slices.EqualFunc(a.Addresses, b.Addresses, func(x, y net.IP) bool { return x.Equal(y) })
}
