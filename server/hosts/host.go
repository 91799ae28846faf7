package hosts

import (
	"encoding/json"
	"strings"
	"time"
)

// OnlineWindow is how long a host counts as online after it was heard from
// (ESP reference, section 1.2).
const OnlineWindow = 300 * time.Second

// State says whether a host takes part.
type State string

// The states. A removed host is refused but visible and may be enabled again; a
// deleted one is refused and hidden, unless it may enrol anew.
const (
	Active  State = "active"
	Removed State = "removed"
	Deleted State = "deleted"
)

// Host is an immutable snapshot of one machine, shared between goroutines: never
// modify it. Contact times are as fresh as the method that returned it says.
type Host struct {
	ID             int64
	Identifier     string // unique among all hosts
	InstanceID     string // of the agent's database
	HardwareUUID   string // lower case; empty when missing or a vendor's placeholder
	HardwareSerial string
	Hostname       string
	ComputerName   string
	Platform       string // family: windows, linux, darwin, freebsd
	OSPlatform     string // os_version.platform, such as ubuntu
	Arch           string // cpu_type as reported: x86_64, arm64, x86...
	OsqueryVersion string
	State          State
	MayEnroll      bool     // a deleted host that may enrol anew
	CloneOf        int64    // id of the host that had this hardware uuid first, or 0
	LastIP         string   // address of the last contact
	Tags           []string // sorted
	TagIDs         []int64  // of the tags, sorted by themselves: a tag that is renamed keeps its id

	OSInfo      json.RawMessage // object: the row of os_version
	NodeInfo    json.RawMessage // object: a part of the row of system_info
	NetworkInfo json.RawMessage // array of objects, the busiest interface first
	OsqueryInfo json.RawMessage // object: the row of osquery_info

	DetailsAt      time.Time // when all details were last asked and answered
	EnrolledOn     time.Time
	LastEnrollment time.Time
	LastCheckin    time.Time // any contact
	LastStatus     time.Time
	LastResult     time.Time
	LastConfig     time.Time
	LastQueryRead  time.Time
	LastQueryWrite time.Time

	version int64  // updated_at of the row, in microseconds
	osName  string // os_info.name
	search  string // what Filter.Search looks through, in lower case
}

// DisplayName is the name for people: the first of host name, computer name and
// identifier that is not empty.
func (h *Host) DisplayName() string {
	switch {
	case h.Hostname != "":
		return h.Hostname
	case h.ComputerName != "":
		return h.ComputerName
	}
	return h.Identifier
}

// Online reports whether the host had been heard from within OnlineWindow
// before now, going by LastCheckin.
func (h *Host) Online(now time.Time) bool {
	return !h.LastCheckin.IsZero() && now.Sub(h.LastCheckin) < OnlineWindow
}

// prepare fills in what is derived, once, before the snapshot is shared.
func (h *Host) prepare() {
	var info struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(h.OSInfo, &info) != nil || info.Name == "" {
		info.Name = h.Platform
	}
	h.osName = info.Name
	// A NUL between the parts keeps a search from matching across two of them.
	h.search = strings.ToLower(strings.Join([]string{h.DisplayName(), h.Hostname, h.ComputerName, h.osName}, "\x00"))
}

// Family maps an os_version.platform to the families that configs and counts
// know; everything else is a Linux distribution.
func Family(osPlatform string) string {
	switch family := strings.ToLower(osPlatform); family {
	case "windows", "darwin", "freebsd":
		return family
	}
	return "linux"
}
