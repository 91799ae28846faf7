package indicator

import (
	"net/netip"
	"strings"
)

func normalize(kind kind, value string) string {
	value = fold(strings.TrimSpace(value))
	if kind == endpoint {
		return normalizeEndpoint(value)
	}
	return value
}

// normalizeEndpoint writes an address the one way that it is written everywhere
// (an IPv4 address in IPv6's clothes is IPv4, a zone is dropped), and a domain
// name without dots at its ends.
func normalizeEndpoint(value string) string {
	if address, found := Address(value); found {
		return address.String()
	}
	return strings.Trim(value, ".")
}

// Address reads an address in any of the forms that normalise to the same one. It
// does not allocate but for an address with a zone.
func Address(value string) (netip.Addr, bool) {
	if !mayBeAddress(value) {
		return netip.Addr{}, false
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(value, "["), "]"))
	if err != nil {
		return netip.Addr{}, false
	}
	return address.Unmap().WithZone(""), true
}

// Network reads a network in CIDR form, as its first address and its length: the
// one form that it has, an IPv4 network in IPv6's clothes included.
func Network(value string) (netip.Prefix, bool) {
	if strings.IndexByte(value, '/') < 0 {
		return netip.Prefix{}, false
	}
	network, err := netip.ParsePrefix(strings.TrimSpace(value))
	if err != nil {
		return netip.Prefix{}, false
	}
	if network.Addr().Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	return network.Masked(), true
}

// AppendFold appends a text with its ASCII letters in lower case: a normal form
// without an allocation.
func AppendFold(buf []byte, value string) []byte {
	for i := range len(value) {
		c := value[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf = append(buf, c)
	}
	return buf
}

// mayBeAddress saves parsing what is a name on sight.
func mayBeAddress(value string) bool {
	if value == "" {
		return false
	}
	c := value[0]
	return '0' <= c && c <= '9' || strings.IndexByte(value, ':') >= 0
}

// fold turns ASCII letters to lower case and leaves all else: hashes, names and
// the paths of Windows are the same in any case, and which other letters are
// depends on who asks.
func fold(value string) string {
	for i := 0; i < len(value); i++ {
		if c := value[i]; 'A' <= c && c <= 'Z' {
			lower := []byte(value)
			for ; i < len(lower); i++ {
				if c := lower[i]; 'A' <= c && c <= 'Z' {
					lower[i] = c + ('a' - 'A')
				}
			}
			return string(lower)
		}
	}
	return value
}

// Split reads a list of indicators: one a line, or several with commas between.
// Blanks around them and doubles are dropped; the order stays.
func Split(list string) []string {
	return parts(list, func(c rune) bool { return c == ',' || c == '\n' || c == '\r' })
}

// SplitFile reads a file of indicators of the type: as Split does, but where
// commas can be part of an indicator (paths, URLs) a line is one.
func (t Type) SplitFile(content string) []string {
	switch t {
	case "url", "path", "target_path", "target_name", "process_name":
		return Lines(content)
	}
	return Split(content)
}

// Lines reads a list of indicators, one a line, as Split does but for commas.
func Lines(list string) []string {
	return parts(list, func(c rune) bool { return c == '\n' || c == '\r' })
}

func parts(list string, between func(rune) bool) []string {
	found, seen := []string{}, map[string]bool{}
	for part := range strings.FieldsFuncSeq(strings.TrimPrefix(list, "\uFEFF"), between) {
		part = strings.TrimSpace(part)
		if part != "" && !seen[part] {
			seen[part] = true
			found = append(found, part)
		}
	}
	return found
}
