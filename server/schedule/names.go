package schedule

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Limits of what agents take (osquery-tls 2.3, 2.4).
const (
	// MaxSize is the largest config in bytes that every agent takes.
	MaxSize = 1 << 20
	// MaxInterval is the longest interval of a query in seconds.
	MaxInterval = 604800
	// defaultInterval is osquery's own, of a query that names none.
	defaultInterval = 3600
	maxDepth        = 32
	maxName         = 255
)

// The families of platforms, as hosts.Host.Platform and osquery name them.
const (
	linux   = "linux"
	darwin  = "darwin"
	windows = "windows"
	freebsd = "freebsd"
)

var families = []string{linux, darwin, windows, freebsd}

// family is the platform whose configs a host gets: unknown ones count as Linux (esp-api 2.5).
func family(platform string) string {
	switch platform {
	case windows:
		return windows
	case darwin:
		return darwin
	case freebsd:
		return freebsd
	}
	return linux
}

// architecture brings the spellings of processors together.
func architecture(cpu string) string {
	switch cpu {
	case "x86_64", "x86_64h", "amd64", "AMD64":
		return "x86_64"
	case "arm64", "arm64e", "ARM64", "aarch64":
		return "arm64"
	case "x86", "i386", "i686":
		return "x86"
	}
	return cpu
}

// runsOn reports whether osquery of that family runs what is restricted to
// platform: osquery looks for substrings (osquery-tls 2.4).
func runsOn(platform, family string) bool {
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(platform, word) {
				return true
			}
		}
		return false
	}
	switch {
	case platform == "", platform == "null", has("any", "all"):
		return true
	case family == windows:
		return has(windows)
	case family == linux:
		return has(linux, "ubuntu", "centos", "posix")
	}
	return has(family, "posix")
}

// checkQueryName refuses the names that osquery 5.19 and later drop with only a
// warning (osquery-tls 2.4), and those that cannot be shown.
func checkQueryName(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	for _, prefix := range []string{"query.", "cache.", "config_views."} {
		if strings.HasPrefix(name, prefix) {
			return fmt.Errorf("names that start with %s are reserved by osquery", prefix)
		}
	}
	for _, suffix := range []string{"epoch", "counter"} {
		if strings.HasSuffix(name, suffix) {
			return fmt.Errorf("names that end in %s are reserved by osquery", suffix)
		}
	}
	return nil
}

// checkPackName refuses what osquery gives a meaning of its own, and the slash, so
// that pack/PACK/QUERY is one pack and one query only.
func checkPackName(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if name == "main" || name == "*" {
		return fmt.Errorf("the name %s is reserved by osquery", name)
	}
	if strings.Contains(name, packDelimiter) {
		return fmt.Errorf("the name of a pack cannot hold %s", packDelimiter)
	}
	return nil
}

func checkName(name string) error {
	if strings.TrimSpace(name) == "" {
		return fmt.Errorf("a name is missing")
	}
	if len(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("a name has at most %d bytes and no control characters", maxName)
	}
	return nil
}

// versionForm is what osquery can compare: it stops at numbers that are no int.
var versionForm = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){0,3}([-+.][0-9A-Za-z.+-]{0,32})?$`)

func checkVersion(version string) error {
	if version != "" && !versionForm.MatchString(version) {
		return fmt.Errorf("the version %q is not one such as 5.9.1", version)
	}
	return nil
}
