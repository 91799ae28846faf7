package intel

import (
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"muster/server/fault"
	"muster/server/indicator"
)

// Self is the feed of what people enter.
const Self = "self"

// Bounds of an indicator.
const (
	maxValue       = 2048 // bytes
	maxThreat      = 200
	maxFeed        = 100
	maxDescription = 1000
	maxLabels      = 32 // of a domain name
	leastV4        = 8  // bits of a network: a shorter one would match too much of the world
	leastV6        = 16
)

// The types of indicators that rows are checked for.
const (
	MD5     indicator.Type = "md5"
	SHA1    indicator.Type = "sha1"
	SHA256  indicator.Type = "sha256"
	Domain  indicator.Type = "domain_name"
	Address indicator.Type = "remote_address" // a network in CIDR form as well
	URL     indicator.Type = "url"
	Path    indicator.Type = "path"
)

// Types lists them.
func Types() []indicator.Type {
	return []indicator.Type{MD5, SHA1, SHA256, Domain, Address, URL, Path}
}

// Severities lists the severities of indicators, the least first.
func Severities() []string { return []string{"INFO", "LOW", "WARNING", "CRITICAL"} }

// NewIndicator is an indicator as somebody has it.
type NewIndicator struct {
	Type       indicator.Type
	Value      string // in any form
	ThreatName string
	Severity   string
	// Confidence is from 0 to 100.
	Confidence  int
	Description string
	Expires     time.Time // it does not match from then on; zero: never
}

// Indicator is one that is stored. Its value is in normal form.
type Indicator struct {
	ID int64
	NewIndicator
	Feed             string
	Created, Updated time.Time
}

// check brings an indicator into the form in which it is stored. A hash has to be
// one if it is exact; people may enter any word for one, as they may in the document's
// own example. Faults: Unprocessable, with a sentence about the value.
func (n *NewIndicator) check(exact bool) error {
	n.ThreatName, n.Description = strings.TrimSpace(n.ThreatName), strings.TrimSpace(n.Description)
	n.Severity = strings.ToUpper(strings.TrimSpace(n.Severity))
	switch {
	case !slices.Contains(Types(), n.Type):
		return wrongValue("%s is no type of indicator; there are %s", quoted(string(n.Type)), names(Types()))
	case !slices.Contains(Severities(), n.Severity):
		return wrongValue("%s is no severity; there are %s", quoted(n.Severity), strings.Join(Severities(), ", "))
	case n.Confidence < 0 || n.Confidence > 100:
		return wrongValue("%d is no confidence: it is from 0 to 100", n.Confidence)
	case n.ThreatName == "" || len(n.ThreatName) > maxThreat || !plain(n.ThreatName):
		return wrongValue("%s is no name of a threat: it has 1 to %d bytes in one line", quoted(n.ThreatName), maxThreat)
	}
	n.Description = cutText(n.Description, maxDescription)
	value, problem := normal(n.Type, n.Value, exact)
	if problem != "" {
		return wrongValue("%s %s", quoted(n.Value), problem)
	}
	n.Value = value
	return nil
}

func wrongValue(sentence string, args ...any) error {
	return fault.New(fault.Unprocessable, sentence, args...)
}

// normal returns the form in which a value is stored and compared, or what is wrong.
func normal(of indicator.Type, value string, exact bool) (normal, problem string) {
	if len(value) > maxValue || !plain(value) {
		return "", "is too long or holds what is no text"
	}
	value = of.Normalize(value)
	if value == "" {
		return "", "is blank"
	}
	switch of {
	case MD5, SHA1, SHA256:
		if !isHash(value, hashLength(of)) && (exact || !isWord(value)) {
			return "", "is no " + string(of)
		}
		if hashesOfNothing[value] {
			return "", "is the hash of every empty file"
		}
	case Domain:
		return value, domainProblem(value)
	case Address:
		return normalAddress(value)
	case Path:
		if !strings.ContainsAny(value, `/\`) {
			return "", "is a name, not the path of a file"
		}
		if strings.Trim(value, `/\.`) == "" {
			return "", "is where all files are"
		}
	case URL:
		if !strings.Contains(value, "://") || strings.ContainsFunc(value, unicode.IsSpace) {
			return "", "is no URL"
		}
	}
	return value, ""
}

// hashesOfNothing stand in many feeds, and would be found on every host.
var hashesOfNothing = map[string]bool{
	"d41d8cd98f00b204e9800998ecf8427e":                                 true,
	"da39a3ee5e6b4b0d3255bfef95601890afd80709":                         true,
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": true,
}

// domainProblem says why a name is none that can be looked for: among them names of
// one label and those below which everybody has names, such as co.uk.
func domainProblem(value string) string {
	labels := strings.Split(value, ".")
	_, address := indicator.Address(value)
	switch {
	case address:
		return "is an address, not a domain name"
	case len(labels) < 2:
		return "is no domain name: it has one part only"
	case len(labels) > maxLabels || len(value) > 253:
		return "is too long for a domain name"
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, " \t/\\:@?#*\"'<>()[]{},;|") {
			return "is no domain name"
		}
	}
	if suffix, official := publicsuffix.PublicSuffix(value); official && suffix == value {
		return "is a domain below which everybody has names"
	}
	return ""
}

func normalAddress(value string) (normal, problem string) {
	if network, found := indicator.Network(value); found {
		least := leastV6
		if network.Addr().Is4() {
			least = leastV4
		}
		if network.Bits() < least {
			return "", "is too large a network"
		}
		if network.Addr().IsLoopback() || network.Contains(netip.IPv6Loopback()) {
			return "", thisMachine
		}
		if network.IsSingleIP() {
			return network.Addr().String(), ""
		}
		return network.String(), ""
	}
	address, found := indicator.Address(value)
	if !found {
		return "", "is neither an address nor a network"
	}
	if address.IsUnspecified() {
		return "", "is the address of nothing"
	}
	if address.IsLoopback() {
		return "", thisMachine
	}
	return address.String(), ""
}

const thisMachine = "is what every machine calls itself"

func hashLength(of indicator.Type) int {
	switch of {
	case MD5:
		return 32
	case SHA1:
		return 40
	}
	return 64
}

// isHash says whether a text is so many hexadecimal digits.
func isHash(value string, digits int) bool {
	if len(value) != digits {
		return false
	}
	for i := range len(value) {
		if nibble(value[i]) < 0 {
			return false
		}
	}
	return true
}

// isWord says whether a text is of ASCII letters and digits.
func isWord(value string) bool {
	return len(value) <= 128 && !strings.ContainsFunc(value, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// plain says whether a text is valid and of one line.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// cutText shortens a text to so many bytes, and makes it one that can be stored.
func cutText(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}

// quoted is a text as it stands in a sentence about it.
func quoted(text string) string {
	const most = 80
	if text = strings.ToValidUTF8(text, "\uFFFD"); len(text) > most {
		text = cutText(text, most) + "..."
	}
	return "'" + text + "'"
}

func names(types []indicator.Type) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

// Key names what is looked for, whoever looks for it: the type and the value.
func (i Indicator) Key() string { return string(i.Type) + ":" + i.Value }

// Broad says whether the indicator is more than a value: a network, or a domain name,
// which is all the names below it as well. An index of values does not know these.
func (i Indicator) Broad() bool {
	_, network := indicator.Network(i.Value)
	return i.Type == Domain || i.Type == Address && network
}
