package osquery

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// versionRules are the four switches by which the packagers' orders differ.
type versionRules struct {
	epoch      bool // a version with "N:" sorts after one without
	delimiters bool // ~ - ^ . : sort in this order
	remainder  bool // what one version has more decides: ~ before, ^ after, - equal
	lengths    bool // a numeric end lets the length decide
}

// collations are the orders of version texts that agents know.
var collations = map[string]versionRules{
	"version":      {},
	"version_arch": {epoch: true, remainder: true, lengths: true},
	"version_dpkg": {epoch: true, delimiters: true},
	"version_rhel": {epoch: true, delimiters: true, remainder: true},
}

func registerVersions(conn *sqlite3.SQLiteConn) error {
	for name, rules := range collations {
		if err := conn.RegisterCollation(name, rules.compare); err != nil {
			return fmt.Errorf("register collation %s: %w", name, err)
		}
	}
	return nil
}

// callVersionCompare is version_compare(left, operator, right, switches...).
func callVersionCompare(args []any) (any, error) {
	words, ok := texts(args[:3])
	if !ok {
		return nil, errors.New("Must provide two version strings and an operator to compare.") //nolint:staticcheck // osquery's words
	}
	var switches [4]bool
	for i, arg := range args[3:] {
		n, _ := number(arg)
		switches[i] = n != 0
	}
	order := versionRules{switches[0], switches[1], switches[2], switches[3]}.compare(words[0], words[2])
	switch words[1] {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case "=":
		return order == 0, nil
	case ">=":
		return order >= 0, nil
	case ">":
		return order > 0, nil
	}
	return nil, errors.New("Unknown compare operator. Must provide one of the following: (<, <=, =, >=, >)") //nolint:staticcheck // osquery's words
}

// compare orders two versions: segments between delimiters, the first difference
// inside a segment deciding once both segments end together, a shorter segment first.
func (r versionRules) compare(a, b string) int {
	if a == b {
		return 0
	}
	if a == "" || b == "" {
		return len(a) - len(b)
	}
	if r.epoch {
		if order := compareEpochs(a, b); order != 0 {
			return order
		}
	}
	shorter, difference := min(len(a), len(b)), 0
	for i := range shorter {
		left, right := delimiter(a[i]), delimiter(b[i])
		switch {
		case left == 0 && right == 0:
			if difference == 0 {
				difference = int(a[i]) - int(b[i])
			}
			continue
		case left == 0:
			return 1
		case right == 0:
			return -1
		case difference != 0:
			return difference
		case r.delimiters && left != right:
			return left - right
		}
	}
	if len(a) == len(b) {
		return difference
	}
	return r.compareRemainder(a, b, difference)
}

func compareEpochs(a, b string) int {
	left, right := strings.IndexByte(a, ':'), strings.IndexByte(b, ':')
	switch {
	case left >= 0 && right >= 0:
		return left - right
	case left >= 0:
		return 1
	case right >= 0:
		return -1
	}
	return 0
}

// compareRemainder decides between versions of which one is longer.
func (r versionRules) compareRemainder(a, b string, difference int) int {
	length := len(a) - len(b)
	if !r.remainder {
		return length
	}
	short, long, sign := a, b, 1 // sign: what "the longer one comes first" answers
	if length > 0 {
		short, long, sign = b, a, -1
	}
	last := short[len(short)-1]
	switch long[len(short)] {
	case '~':
		return sign
	case '-':
		return 0
	case '^':
		return -sign
	}
	if difference != 0 && (!r.lengths || last < '0' || last > '9') {
		return difference
	}
	return length
}

// delimiter is a character's rank among delimiters; 0 for none.
func delimiter(c byte) int { return strings.IndexByte("~-^.:", c) + 1 }
