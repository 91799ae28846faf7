// Package alerts is what was found on hosts and what people made of it: alerts,
// the events gathered into each, who handles them and what became of them.
//
// It writes the tables alerts, alert_events, alert_techniques, alert_onces and
// alert_history, and the settings alert_aggregation_seconds and alert_days. It
// does not know what a rule or an indicator is, who is told about an alert, or
// what a row means; of hosts it reads whether they take part, and their names.
//
// Findings become alerts in the transaction that stores the rows they were seen
// in (see Store.Raise).
package alerts

import (
	"encoding/json"
	"time"

	"muster/server/database"
)

// Topic is the bus topic of hints that alerts were raised. Whoever commits the
// transaction of Raise publishes it.
const Topic = "alerts"

// Status says how far people are with an alert.
type Status string

// The statuses.
const (
	Open       Status = "open"
	InProgress Status = "in_progress"
	Resolved   Status = "resolved"
)

// Verdict says what a resolved alert turned out to be; empty: nobody said.
type Verdict string

// The verdicts.
const (
	TruePositive  Verdict = "true_positive"
	FalsePositive Verdict = "false_positive"
)

// Alert is one or more findings of a host that are alike.
type Alert struct {
	ID, HostID int64
	Source     Source
	RuleID     int64  // of a rule's alert, else 0
	Name       string // of the rule or the threat
	Group      string // what its findings have in common
	Severity   string // INFO, LOW, WARNING, CRITICAL

	// QueryName, Action, Columns (a JSON object), Time (the agent's clock) and
	// ResultID are of the row that raised it; the row may be purged before the alert.
	QueryName, Action string
	Columns           json.RawMessage
	Time              time.Time
	ResultID          int64

	Why           json.RawMessage // a list: what made it match
	SourceData    json.RawMessage // an object: a service's report, a YARA match
	ReconQueries  json.RawMessage // an object
	TechniqueIDs  []string
	Tactics       []string
	Retro         bool // seen in what had been stored before somebody knew to look for it
	Status        Status
	Verdict       Verdict
	Assignee      string // a username; empty: nobody
	EventCount    int    // events gathered, the first included; see MaxEvents
	Created       time.Time
	LastEvent     time.Time // when the newest event was gathered
	Updated       time.Time // the newest event or change
	ResolvedSince time.Time // zero unless resolved
}

// alertFields are what alertRow reads, of the table alerts called a.
const alertFields = `a.id, a.host_id, a.source, a.rule_id, a.name, a.group_key, a.severity, a.query_name, a.action, a.message, a.result_id,
	a.unix_time, a.why, a.source_data, a.recon_queries, a.technique_ids, a.tactics, a.retro, a.status, a.verdict, a.assignee, a.event_count,
	a.created_at, a.last_event_at, a.updated_at, a.resolved_at`

// alertRow is a row of the table alerts.
type alertRow struct {
	ID, HostID, RuleID, ResultID, UnixTime, Retro int64
	Source                                        Source
	Name, GroupKey, Severity, QueryName, Action   string
	Message, Why, SourceData, ReconQueries        string
	TechniqueIDs                                  string `gorm:"column:technique_ids"`
	Tactics                                       string
	Status                                        Status
	Verdict                                       Verdict
	Assignee                                      string
	EventCount                                    int
	CreatedAt, LastEventAt, UpdatedAt, ResolvedAt int64
}

func (r alertRow) alert() Alert {
	return Alert{
		ID: r.ID, HostID: r.HostID, Source: r.Source, RuleID: r.RuleID, Name: r.Name, Group: r.GroupKey, Severity: r.Severity,
		QueryName: r.QueryName, Action: r.Action, Columns: json.RawMessage(r.Message), Time: seconds(r.UnixTime), ResultID: r.ResultID,
		Why: json.RawMessage(r.Why), SourceData: json.RawMessage(r.SourceData), ReconQueries: json.RawMessage(r.ReconQueries),
		TechniqueIDs: texts(r.TechniqueIDs), Tactics: texts(r.Tactics), Retro: r.Retro != 0,
		Status: r.Status, Verdict: r.Verdict, Assignee: r.Assignee, EventCount: r.EventCount,
		Created: database.FromMicros(r.CreatedAt), LastEvent: database.FromMicros(r.LastEventAt),
		Updated: database.FromMicros(r.UpdatedAt), ResolvedSince: database.FromMicros(r.ResolvedAt),
	}
}

// seconds is a time on an agent's clock; the zero time for 0.
func seconds(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}

// texts reads a stored list; it is never nil.
func texts(stored string) []string {
	list := []string{}
	if json.Unmarshal([]byte(stored), &list) != nil || list == nil {
		return []string{}
	}
	return list
}
