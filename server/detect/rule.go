package detect

import (
	"encoding/json"
	"time"
)

// The severities and statuses, as they are stored and shown.
const (
	Info     = "INFO"
	Low      = "LOW"
	Warning  = "WARNING"
	Critical = "CRITICAL"

	Active   = "ACTIVE"
	Inactive = "INACTIVE"
)

// Severities lists them, the mildest first.
func Severities() []string { return []string{Info, Low, Warning, Critical} }

// DebugAlerter is told of every alert: each rule has it.
const DebugAlerter = "debug"

// Rule is a rule as it is stored, and what became of it here.
//
// It was made with the query builder, or it came as Sigma: then Source is its text,
// and Conditions are what that was translated to. Changing Conditions makes it one
// of the query builder.
type Rule struct {
	ID                    int64
	Name, Description     string // the name is unique
	Severity, Status      string
	Type                  string   // free text; MITRE and DEFAULT by custom
	TechniqueIDs, Tactics []string // of ATT&CK; tactics by their short names
	Alerters              []string // names; DebugAlerter always is among them
	Conditions            json.RawMessage
	ReconQueries          json.RawMessage // an object
	SigmaID, Source       string
	Shipped               string // the file of ours that it came from, or ""
	Username              string // who made it or changed it last
	Created, Updated      time.Time

	// What follows is told by the store, and not stored.

	Tables, Platforms []string // that it looks at; none: any
	Problem           string   // why it cannot be evaluated, or ""
	Warnings          []string // what it leaves out for lack of columns, when it came as Sigma

	shippedSHA256 string // of the text of Shipped that was installed
}

// Counters say what a rule did so far, on all replicas.
type Counters struct {
	Evaluated  int64 // rows that were looked at closely
	Matched    int64 // of these, suppressed ones included
	Suppressed int64 // matches that an exception kept from alerting
	Failed     int64 // rows that could not be evaluated
	Time       time.Duration
	LastMatch  time.Time
}
