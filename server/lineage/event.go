// Package lineage makes trees of processes out of the rows in which agents report
// what processes do: osquery's event tables on Linux, macOS and Windows, and the
// win_ tables of the original's agents.
//
// It is pure: it writes no table, reads none, and knows no host and no alert. Rows
// come from machines that may be hostile: whatever they say, building and walking a
// tree ends, and takes time in proportion to the rows.
package lineage

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// Kind says what a row tells about a process.
type Kind int

// The kinds.
const (
	Other Kind = iota // something that the process did
	Start             // it began, or became another program
	Fork              // it began as a copy of its parent
	End               // it ended
)

// The actions of rows about processes themselves, in the words of the API's document.
const (
	Created    = "PROC_CREATE"
	Terminated = "PROC_TERMINATE"
)

// Event is a row about a process.
type Event struct {
	Table   string
	Columns json.RawMessage // an object, as it was reported
	Kind    Kind
	// Action is what the row calls it: Created and Terminated for starts and ends.
	Action string
	Time   int64 // seconds on the host's clock
	// Process and Parent are ids of processes. Tables with identifiers of their own
	// have them from the row; for the others Build fills them in (see ID).
	Process, Parent           string
	PID, PPID                 int64
	Path, Cmdline, User       string
	ParentPath, ParentCmdline string

	order int // among those of one second
}

// ID is the id of a process that has no identifier of its own: its pid and when it
// began, in seconds. The second is 0 for a process whose beginning is not in the rows.
func ID(pid, start int64) string {
	return strconv.FormatInt(pid, 10) + ":" + strconv.FormatInt(start, 10)
}

// ParseID reads what ID made; false for any other identifier.
func ParseID(id string) (pid, start int64, ok bool) {
	left, right, found := strings.Cut(id, ":")
	pid, err := strconv.ParseInt(left, 10, 64)
	if !found || err != nil {
		return 0, 0, false
	}
	start, err = strconv.ParseInt(right, 10, 64)
	return pid, start, err == nil && ID(pid, start) == id
}

// shape is how a table tells of processes.
type shape struct {
	parent string // the column of the parent's pid
	path   string // the column of the program
	kind   func(row *fastjson.Value) Kind
	action string // the column of the action; empty: the name says it
	name   string // what it is called where the row does not say
}

func other(*fastjson.Value) Kind { return Other }

// shapes are osquery's tables that have processes.
var shapes = map[string]shape{
	"process_events":         {parent: "parent", path: "path", kind: bySyscall, action: "syscall"},
	"bpf_process_events":     {parent: "parent", path: "path", kind: bySyscall, action: "syscall"},
	"es_process_events":      {parent: "parent", path: "path", kind: byEventType},
	"process_etw_events":     {parent: "ppid", path: "path", kind: byType},
	"socket_events":          {path: "path", kind: other, action: "action", name: "SOCKET"},
	"bpf_socket_events":      {parent: "parent", path: "path", kind: other, action: "syscall", name: "SOCKET"},
	"process_file_events":    {parent: "ppid", path: "executable", kind: other, action: "operation", name: "FILE"},
	"es_process_file_events": {parent: "parent", path: "path", kind: other, action: "event_type", name: "FILE"},
	"dns_lookup_events":      {path: "path", kind: other, name: "DNS_LOOKUP"},
	"seccomp_events":         {path: "exe", kind: other, name: "SECCOMP"},
	"apparmor_events":        {kind: other, action: "operation", name: "APPARMOR"},
}

// Tells reports whether rows of the table may tell of processes.
func Tells(table string) bool {
	_, known := shapes[table]
	return known || strings.HasPrefix(table, "win_")
}

func bySyscall(row *fastjson.Value) Kind {
	switch text(row, "syscall") {
	case "fork", "vfork", "clone", "clone3":
		return Fork
	case "exit", "exit_group":
		return End
	case "kill", "tkill", "tgkill":
		return Other
	}
	return Start
}

func byEventType(row *fastjson.Value) Kind {
	switch text(row, "event_type") {
	case "fork":
		return Fork
	case "exit":
		return End
	}
	return Start
}

func byType(row *fastjson.Value) Kind {
	if text(row, "type") == "ProcessStop" {
		return End
	}
	return Start
}

// parsers are used again; what an event keeps of a row is a copy.
var parsers fastjson.ParserPool

// Read makes an event of a row of a table; unixTime is the row's own time, for rows
// whose columns have none. false: the row tells of no process. The columns are kept.
func Read(table string, columns json.RawMessage, unixTime int64) (Event, bool) {
	parser := parsers.Get()
	defer parsers.Put(parser)
	row, err := parser.ParseBytes(columns)
	if err != nil || row.Type() != fastjson.TypeObject {
		return Event{}, false
	}
	e := Event{
		Table: table, Columns: columns, Time: when(row, unixTime), PID: number(row, "pid"), Cmdline: text(row, "cmdline"), User: text(row, "username"),
		ParentPath: text(row, "parent_path"), ParentCmdline: text(row, "parent_cmdline"),
	}
	if strings.HasPrefix(table, "win_") {
		return e.fromWin(row)
	}
	of, known := shapes[table]
	if !known || e.PID <= 0 {
		return Event{}, false
	}
	e.Kind, e.Path, e.PPID = of.kind(row), text(row, of.path), number(row, of.parent)
	if e.Kind == Fork && table == "es_process_events" { // told of the parent
		e.PID, e.PPID = number(row, "child_pid"), e.PID
	}
	switch e.Kind {
	case Start, Fork:
		e.Action = Created
	case End:
		e.Action = Terminated
	default:
		if e.Action = text(row, of.action); e.Action == "" {
			e.Action = of.name
		}
	}
	return e, e.PID > 0
}

// fromWin reads the columns of the original's tables, which have identifiers.
func (e Event) fromWin(row *fastjson.Value) (Event, bool) {
	e.Process, e.Parent, e.Action = text(row, "process_guid"), text(row, "parent_process_guid"), text(row, "action")
	e.PPID, e.User = number(row, "parent_pid"), text(row, "owner_uid")
	if e.Path = text(row, "path"); e.Table != "win_process_events" {
		e.Path = text(row, "process_name")
	}
	switch {
	case strings.Contains(e.Action, Created):
		e.Kind = Start
	case strings.Contains(e.Action, Terminated):
		e.Kind = End
	}
	return e, e.Process != ""
}

// Time is when a row's event was, in seconds on the host's clock: its column time, or
// datetime, or otherwise unixTime, the row's own time.
func Time(columns json.RawMessage, unixTime int64) int64 {
	parser := parsers.Get()
	defer parsers.Put(parser)
	row, err := parser.ParseBytes(columns)
	if err != nil || row.Type() != fastjson.TypeObject {
		return unixTime
	}
	return when(row, unixTime)
}

// dateFormats are the ways in which tables write a datetime, in UTC.
var dateFormats = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "Mon Jan _2 15:04:05 2006 UTC", time.ANSIC,
}

func when(row *fastjson.Value, unixTime int64) int64 {
	if at := number(row, "time"); at > 0 {
		return at
	}
	date := text(row, "datetime")
	if at, err := strconv.ParseInt(date, 10, 64); err == nil && at > 0 {
		return at
	}
	for _, format := range dateFormats {
		if at, err := time.Parse(format, date); err == nil && at.Unix() > 0 {
			return at.Unix()
		}
	}
	return unixTime
}

// text is a column as text; empty when there is none.
func text(row *fastjson.Value, column string) string {
	if column == "" {
		return ""
	}
	switch v := row.Get(column); {
	case v == nil:
		return ""
	case v.Type() == fastjson.TypeString:
		return string(v.GetStringBytes())
	case v.Type() == fastjson.TypeNumber:
		return string(v.MarshalTo(nil))
	}
	return ""
}

// number is a column as a whole number; 0 when it is none.
func number(row *fastjson.Value, column string) int64 {
	n, err := strconv.ParseInt(text(row, column), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
