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
	if mayBeAddress(value) {
		bare := strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
		if address, err := netip.ParseAddr(bare); err == nil {
			return address.Unmap().WithZone("").String()
		}
	}
	return strings.Trim(value, ".")
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
