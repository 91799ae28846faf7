package intel

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"muster/server/fault"
	"muster/server/indicator"
)

// Format is a form in which indicators are handed on.
type Format string

// The formats.
const (
	CSV  Format = "csv"  // a first line with the names of columns: value, type, threat_name, severity, confidence, description, expires
	List Format = "list" // one a line
	STIX Format = "stix" // a bundle of STIX 2.1
	MISP Format = "misp" // events as MISP exports them
	OTX  Format = "otx"  // pulses of AlienVault OTX
)

// Formats lists them.
func Formats() []Format { return []Format{CSV, List, STIX, MISP, OTX} }

// Defaults are for what a file does not say itself.
type Defaults struct {
	Type       indicator.Type // of the values of a list; empty: by their form
	ThreatName string
	Severity   string
	Confidence int
	Expires    time.Time
}

// Parsed is what a file holds.
type Parsed struct {
	Format     Format
	Indicators []NewIndicator // sound ones (see CheckFeed)
	Bad        int            // lines or objects that are none
	Problems   []Problem      // with the first of these
	Skipped    int            // objects that say that they are not to be looked for
}

// Problem says what is wrong with a line or an object.
type Problem struct {
	Number int // from 1 on: of the line, or of the object in its list
	Reason string
}

// Bounds of what is parsed.
const (
	maxProblems = 1000
	maxParsed   = 2_000_000
)

// Parse reads a file in the format, which it finds out itself where none is given.
// What is wrong is reported by its number, and the rest is good. Faults: Unprocessable
// for a file that is none of the format at all, or too long.
func Parse(content []byte, format Format, d Defaults) (Parsed, error) {
	content = bytes.TrimPrefix(content, []byte("\uFEFF"))
	if !utf8.Valid(content) {
		return Parsed{}, fault.New(fault.Unprocessable, "The file is no text in UTF-8")
	}
	if format == "" {
		format = detect(content)
	}
	g := &gatherer{defaults: d, parsed: Parsed{Format: format}}
	read := map[Format]func(*gatherer, []byte) error{CSV: readCSV, List: readList, STIX: readSTIX, MISP: readMISP, OTX: readOTX}[format]
	if read == nil {
		return Parsed{}, fault.New(fault.Unprocessable, "There is no such format; there are csv, list, stix, misp, otx")
	}
	if err := read(g, content); err != nil {
		return Parsed{}, err
	}
	if g.full {
		return Parsed{}, fault.New(fault.Unprocessable, "The file has more than %d indicators, or as many lines that are none", maxParsed)
	}
	return g.parsed, nil
}

// detect tells a format by how the content begins, and by the keys of an object.
func detect(content []byte) Format {
	start := bytes.TrimLeft(content, " \t\r\n")
	switch {
	case len(start) > 0 && start[0] == '[' && json.Valid(start):
		return MISP
	case len(start) > 0 && start[0] == '{':
		switch {
		case !json.Valid(start): // its reader says what is wrong with it
		case hasMember(start, "Event") || hasMember(start, "response"):
			return MISP
		case hasMember(start, "indicators") || hasMember(start, "results"):
			return OTX
		}
		return STIX
	}
	if csvHeader(firstLine(content)) != nil {
		return CSV
	}
	return List
}

// gatherer gathers indicators.
type gatherer struct {
	defaults Defaults
	parsed   Parsed
	full     bool // the rest does not count
}

func (g *gatherer) problem(number int, reason string) {
	if g.parsed.Bad++; g.parsed.Bad > maxParsed {
		g.full = true
	}
	if len(g.parsed.Problems) < maxProblems {
		g.parsed.Problems = append(g.parsed.Problems, Problem{number, cutText(reason, 300)})
	}
}

// add takes an indicator, or reports what is wrong with it.
func (g *gatherer) add(number int, n NewIndicator) {
	if len(g.parsed.Indicators) >= maxParsed {
		g.full = true
		return
	}
	if n.ThreatName = oneLine(n.ThreatName); n.ThreatName == "" {
		n.ThreatName = g.defaults.ThreatName
	}
	if n.Severity == "" {
		n.Severity = g.defaults.Severity
	}
	if n.Confidence == 0 {
		n.Confidence = g.defaults.Confidence
	}
	if n.Expires.IsZero() {
		n.Expires = g.defaults.Expires
	}
	n.Value = refang(n.Value)
	if n.Type == "" {
		n.Type, n.Value = recognise(n.Value)
	}
	if n.Type == "" {
		g.problem(number, quoted(n.Value)+" is nothing that can be looked for")
		return
	}
	if err := n.check(true); err != nil {
		g.problem(number, fault.Public(err))
		return
	}
	g.parsed.Indicators = append(g.parsed.Indicators, n)
}

// oneLine is a text as the name of a threat.
func oneLine(text string) string {
	return cutText(strings.Join(strings.Fields(text), " "), maxThreat)
}

// typeNames are what others call our types, in lower case.
var typeNames = map[string]indicator.Type{
	"md5": MD5, "filehash-md5": MD5, "hash-md5": MD5,
	"sha1": SHA1, "sha-1": SHA1, "filehash-sha1": SHA1, "hash-sha1": SHA1,
	"sha256": SHA256, "sha-256": SHA256, "filehash-sha256": SHA256, "hash-sha256": SHA256,
	"domain_name": Domain, "domain-name": Domain, "domain": Domain, "hostname": Domain, "host": Domain, "fqdn": Domain,
	"remote_address": Address, "address": Address, "ip": Address, "ipv4": Address, "ipv6": Address, "ipv4-addr": Address, "ipv6-addr": Address,
	"ip-src": Address, "ip-dst": Address, "ip_address": Address, "cidr": Address, "network": Address,
	"url": URL, "uri": URL, "link": URL,
	"path": Path, "filepath": Path, "file_path": Path, "file-path": Path, "filename": Path,
}

// refang undoes what keeps people from following a link by mistake.
func refang(value string) string {
	value = strings.TrimSpace(value)
	if len(value) > maxValue {
		return value
	}
	if strings.ContainsAny(value, "[(") {
		value = defanged.Replace(value)
	}
	if len(value) > 4 && strings.EqualFold(value[:4], "hxxp") {
		value = "http" + value[4:]
	}
	return value
}

var defanged = strings.NewReplacer("[.]", ".", "(.)", ".", "[:]", ":", "[://]", "://", "[dot]", ".", "(dot)", ".")

// recognise tells the type of a value by its form; empty when it has none.
func recognise(value string) (indicator.Type, string) {
	switch {
	case isHash(value, 32):
		return MD5, value
	case isHash(value, 40):
		return SHA1, value
	case isHash(value, 64):
		return SHA256, value
	case strings.Contains(value, "://"):
		return URL, value
	case strings.HasPrefix(value, "/"), strings.Contains(value, `\`):
		return Path, value
	}
	if _, problem := normalAddress(value); problem == "" {
		return Address, value
	}
	if bare, found := withoutPort(value); found {
		return Address, bare
	}
	if _, problem := normal(Domain, value, true); problem == "" {
		return Domain, value
	}
	return "", value
}

// TypeOf tells the type of a value by its form; empty when it is of none.
func TypeOf(value string) indicator.Type {
	of, _ := recognise(strings.TrimSpace(value))
	return of
}
