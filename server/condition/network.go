package condition

import (
	"net/netip"
	"strings"

	"muster/server/fault"
)

// networks is true of a value that is an address inside one of these.
type networks struct{ prefixes []netip.Prefix }

func newNetworks(_ *parser, values []value, path string) (predicate, error) {
	p := networks{prefixes: make([]netip.Prefix, len(values))}
	for i, v := range values {
		prefix, err := parseNetwork(v.text)
		if err != nil {
			return nil, fault.New(fault.Unprocessable, "%s must be an address or a network such as 10.0.0.0/8 or fd00::/8, not %s", path, clip(v.text))
		}
		p.prefixes[i] = prefix
	}
	return p, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		address = address.Unmap().WithZone("")
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, err
	}
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// ParseAddress reads the address in a value: of IPv4 or IPv6, where an IPv4
// address inside IPv6 is itself, and a zone does not count.
func ParseAddress(value string) (netip.Addr, bool) {
	// What cannot be one is told without the cost of an error.
	if len(value) < 2 || len(value) > 64 || strings.IndexByte(hexadecimal, value[0]) < 0 || strings.IndexByte(hexadecimal, value[1]) < 0 && value[1] != '.' ||
		strings.IndexByte(value, '.') < 0 && strings.IndexByte(value, ':') < 0 {
		return netip.Addr{}, false
	}
	value, _, _ = strings.Cut(value, "%")
	address, err := netip.ParseAddr(value)
	return address.Unmap(), err == nil
}

const hexadecimal = "0123456789abcdefABCDEF:"

func (p networks) match(row *Object, value string, present bool) bool {
	return present && p.chosen(row, value) >= 0
}

func (p networks) chosen(_ *Object, value string) int {
	address, ok := ParseAddress(value)
	if !ok {
		return -1
	}
	for i, prefix := range p.prefixes {
		if prefix.Contains(address) {
			return i
		}
	}
	return -1
}

// where leaves addresses to Match: SQLite knows none, and PostgreSQL fails on a
// text that is none.
func (p networks) where(v operand) (fragment, bool) { return v.present(), false }

func (p networks) key() string {
	texts := make([]string, len(p.prefixes))
	for i, prefix := range p.prefixes {
		texts[i] = prefix.String()
	}
	return listKey("network", texts)
}
