package alerts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"muster/server/fault"
)

// Source is what saw something, by the name that the API has for it.
type Source string

// The sources, in the order in which the API counts them; yara is ours.
const (
	VirusTotal Source = "virustotal"
	Rule       Source = "rule"
	IBMXForce  Source = "ibmxforce"
	AlienVault Source = "alienvault"
	Indicator  Source = "ioc"
	YARA       Source = "yara"
)

// Sources lists them all.
func Sources() []Source { return []Source{VirusTotal, Rule, IBMXForce, AlienVault, Indicator, YARA} }

// Finding is one thing that was seen on a host. It raises an alert, or joins one
// that is young enough and alike.
type Finding struct {
	HostID int64
	Source Source
	RuleID int64  // of a finding of a rule, else 0
	Name   string // of the rule or the threat
	// Group says which findings of a host are alike, such as rule:12.
	Group string
	// Once, unless it is empty, names the finding itself: it is raised one time,
	// whoever finds it again and whenever.
	Once     string
	Severity string // INFO, LOW, WARNING, CRITICAL
	// QueryName, Action, Columns (a JSON object), UnixTime (seconds on the agent's
	// clock) and ResultID are of the row that it was seen in.
	QueryName, Action string
	Columns           json.RawMessage
	UnixTime          int64
	ResultID          int64
	Why               json.RawMessage // a JSON list: what made it match
	SourceData        json.RawMessage // a JSON object: the report of a service, a YARA match; or nil
	ReconQueries      json.RawMessage // a JSON object, or nil
	TechniqueIDs      []string        // of ATT&CK
	Tactics           []string
	Retro             bool // seen in what had been stored before somebody knew to look for it
}

// Severities lists what a finding may be, from the mildest on.
func Severities() []string { return []string{"INFO", "LOW", "WARNING", "CRITICAL"} }

// Bounds of a finding.
const (
	maxText     = 1_000     // of a name, in bytes
	maxListed   = 100       // techniques, tactics
	maxKey      = 200       // of Group and Once; longer ones are hashed
	maxDocument = 256 << 10 // of a row, of the report of a service
)

// sound returns the finding as it can be stored, or an Invalid fault.
func (f Finding) sound() (Finding, error) {
	switch {
	case f.HostID <= 0:
		return f, fault.New(fault.Invalid, "A finding needs a host")
	case !slices.Contains(Sources(), f.Source):
		return f, fault.New(fault.Invalid, "A finding needs a source")
	case !slices.Contains(Severities(), f.Severity):
		return f, fault.New(fault.Invalid, "The severity of a finding is one of %s", strings.Join(Severities(), ", "))
	}
	f.Name, f.QueryName, f.Action = text(f.Name), text(f.QueryName), text(f.Action)
	f.Group, f.Once = key(f.Group), key(f.Once)
	f.TechniqueIDs, f.Tactics = listed(f.TechniqueIDs), listed(f.Tactics)
	f.Columns, f.SourceData, f.ReconQueries = document(f.Columns, "{}"), document(f.SourceData, "{}"), document(f.ReconQueries, "{}")
	f.Why = document(f.Why, "[]")
	if len(f.SourceData) > maxDocument {
		f.SourceData = json.RawMessage(`{"omitted":"the report is too large to be kept"}`)
	}
	if len(f.Columns) > maxDocument {
		f.Columns = json.RawMessage(`{"omitted":"the row is too large to be kept with its alert"}`)
	}
	return f, nil
}

// text is storable on both engines, and not longer than a name needs to be.
func text(t string) string {
	t = strings.ReplaceAll(strings.ToValidUTF8(t, "\uFFFD"), "\x00", "")
	if len(t) <= maxText {
		return t
	}
	cut := maxText
	for !utf8.RuneStart(t[cut]) {
		cut--
	}
	return t[:cut]
}

// listed is a list whose texts are storable, and that has no more than it needs.
func listed(list []string) []string {
	sound := make([]string, 0, len(list))
	for _, t := range list[:min(len(list), maxListed)] {
		sound = append(sound, text(t))
	}
	return sound
}

// key keeps a key short enough for an index.
func key(k string) string {
	if len(k) <= maxKey && utf8.ValidString(k) && !strings.Contains(k, "\x00") {
		return k
	}
	sum := sha256.Sum256([]byte(k))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// document is valid JSON, or what stands for none.
func document(raw json.RawMessage, none string) json.RawMessage {
	if !json.Valid(raw) {
		return json.RawMessage(none)
	}
	return json.RawMessage(strings.ToValidUTF8(string(raw), "\uFFFD"))
}
