package agenttest

import "slices"

// Version names a generation of osquery whose wire behaviour the agent shows.
type Version string

// The generations that differ on the wire (osquery-tls.md section 14).
const (
	Version59   Version = "5.9"
	Version512  Version = "5.12"
	Version520  Version = "5.20"
	Version522  Version = "5.22"
	Version523  Version = "5.23"
	VersionNext Version = "next"
)

// Versions lists every profile, oldest first.
func Versions() []Version {
	return []Version{Version59, Version512, Version520, Version522, Version523, VersionNext}
}

// profile is what one generation does.
type profile struct {
	release       string // as in User-Agent and osquery_info.version
	statusInts    bool   // 5.10: unixTime, severity and line of a status line are numbers
	logBackoff    bool   // 5.12: the logger waits period x n² after n failures
	startup       bool   // 5.17: startup_priority
	reservedNames bool   // 5.19: some query names are dropped
	carveRetries  bool   // 5.22: three attempts a block, then the carve ends
	keepsUTF8     bool   // 5.22: valid UTF-8 of differential rows stays as it is
	authHeader    bool   // 5.23: Authorization: NodeKey
	etag          bool   // next: conditional config
	configLimit   int    // bytes of the re-serialised config
}

func profileOf(version Version) profile {
	versions := Versions()
	rank := slices.Index(versions, version)
	if rank < 0 {
		rank = slices.Index(versions, Version523)
	}
	releases := []string{"5.9.1", "5.12.1", "5.20.0", "5.22.1", "5.23.1", "5.24.0"}
	p := profile{
		release:       releases[rank],
		statusInts:    rank >= 1,
		logBackoff:    rank >= 1,
		startup:       rank >= 2,
		reservedNames: rank >= 2,
		carveRetries:  rank >= 3,
		keepsUTF8:     rank >= 3,
		authHeader:    rank >= 4,
		etag:          rank >= 5,
		configLimit:   1 << 20,
	}
	if p.etag {
		p.configLimit = 4 << 20
	}
	return p
}

// Platform is an osquery build platform.
type Platform string

// The platforms with generated rows.
const (
	Linux   Platform = "linux"
	Darwin  Platform = "darwin"
	Windows Platform = "windows"
)

// mask is osquery_info.platform_mask and, as text, platform_type (section 1.1).
func (p Platform) mask() int64 {
	switch p {
	case Darwin:
		return 21
	case Windows:
		return 2
	default:
		return 9
	}
}
