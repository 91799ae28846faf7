// Package dial makes connections to where people tell the server to send things and to
// ask: receivers of alerts and logs, mail servers, reputation services. It knows which
// addresses nobody may send it to.
package dial

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Timeout bounds how long a connection may take to come about.
const Timeout = 10 * time.Second

// ErrNotCalled is what a connection to an address that is not called ends with.
var ErrNotCalled = errors.New("the address is not called")

// New makes a dialer. It looks at the address after the name was resolved, so that no
// name leads where May does not.
func New() *net.Dialer {
	return &net.Dialer{Timeout: Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !May(to.Addr()) {
			return ErrNotCalled
		}
		return nil
	}}
}

// metadata is where clouds outside of link-local addresses tell machines their
// credentials: Amazon over IPv6, Alibaba, Oracle.
var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("fd00:ec2::254"): true, netip.MustParseAddr("100.100.100.200"): true, netip.MustParseAddr("192.0.0.192"): true,
}

// translated are the addresses of IPv6 that gateways translate to IPv4 (RFC 6052).
var translated = netip.MustParsePrefix("64:ff9b::/96")

// May refuses the addresses at which clouds tell a machine its credentials, and those
// that are no single machine's. Private networks and this machine are where receivers
// often are.
func May(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if translated.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return !address.IsLinkLocalUnicast() && !address.IsMulticast() && !address.IsUnspecified() && !metadata[address]
}
