package alerts

import "encoding/json"

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
