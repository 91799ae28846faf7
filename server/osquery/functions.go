package osquery

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// function is an SQL function that agents have beyond SQLite's own.
type function struct {
	name     string
	min, max int  // arguments
	changes  bool // not deterministic
	call     func(args []any) (any, error)
}

// agentFunctions are osquery's functions beside concat and concat_ws, which
// SQLite has by now, and carve, which is an aggregate. slept receives what a
// query asks to sleep: sleeping here would hold up every agent of the database.
func agentFunctions(slept func(time.Duration)) []function {
	functions := append(textFunctions(), networkFunctions()...)
	functions = append(functions, mathFunctions()...)
	return append(functions,
		function{name: "version_compare", min: 3, max: 7, call: callVersionCompare},
		function{name: "sleep", min: 1, max: 1, changes: true, call: func(args []any) (any, error) {
			if seconds, ok := number(args[0]); ok && seconds > 0 {
				slept(time.Duration(min(seconds, 3600) * float64(time.Second)))
			}
			return int64(0), nil
		}},
	)
}

func registerFunctions(conn *sqlite3.SQLiteConn, slept func(time.Duration)) error {
	for _, f := range agentFunctions(slept) {
		for count := f.min; count <= f.max; count++ {
			if err := conn.RegisterFunc(f.name, withArguments(count, f.call), !f.changes); err != nil {
				return fmt.Errorf("register %s: %w", f.name, err)
			}
		}
	}
	if err := conn.RegisterAggregator("carve", func() *carveCall { return &carveCall{} }, false); err != nil {
		return fmt.Errorf("register carve: %w", err)
	}
	return registerVersions(conn)
}

// withArguments gives call the Go signature from which the driver reads how many
// arguments the function takes, so that SQLite itself refuses another number.
func withArguments(count int, call func([]any) (any, error)) any {
	switch count {
	case 0:
		return func() (any, error) { return call(nil) }
	case 1:
		return func(a any) (any, error) { return call([]any{a}) }
	case 2:
		return func(a, b any) (any, error) { return call([]any{a, b}) }
	case 3:
		return func(a, b, c any) (any, error) { return call([]any{a, b, c}) }
	case 4:
		return func(a, b, c, d any) (any, error) { return call([]any{a, b, c, d}) }
	case 5:
		return func(a, b, c, d, e any) (any, error) { return call([]any{a, b, c, d, e}) }
	case 6:
		return func(a, b, c, d, e, f any) (any, error) { return call([]any{a, b, c, d, e, f}) }
	case 7:
		return func(a, b, c, d, e, f, g any) (any, error) { return call([]any{a, b, c, d, e, f, g}) }
	}
	return func(args ...any) (any, error) { return call(args) }
}

// carveCall is the aggregate carve(path): it starts a carve of all paths and says
// so in a text without the carve's guid, which is all that agents answer.
type carveCall struct{}

// Step takes a path.
func (c *carveCall) Step(any) {}

// Done answers.
func (c *carveCall) Done() string { return "Carve Started" }

// text is a value as SQLite turns it into text; false for NULL.
func text(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return formatFloat(v), true
	case []byte:
		return string(v), v != nil
	}
	return "", false
}

// formatFloat writes 15 significant digits and always a point, as SQLite does.
func formatFloat(v float64) string {
	s := strings.TrimPrefix(strconv.FormatFloat(v, 'g', 15, 64), "+")
	if strings.ContainsAny(s, ".IN") {
		return s
	}
	mantissa, exponent, _ := strings.Cut(s, "e")
	if exponent != "" {
		exponent = "e" + exponent
	}
	return mantissa + ".0" + exponent
}

var leadingNumber = regexp.MustCompile(`^[ \t\n\f\r]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?`)

// number is a value as SQLite turns it into a number; false for NULL. A text
// that starts with no number is 0.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	s, ok := text(value)
	f, _ := strconv.ParseFloat(strings.TrimSpace(leadingNumber.FindString(s)), 64)
	return f, ok
}

// texts turns all arguments into text; false when one is NULL.
func texts(args []any) ([]string, bool) {
	out := make([]string, len(args))
	for i, arg := range args {
		s, ok := text(arg)
		if !ok {
			return nil, false
		}
		out[i] = s
	}
	return out, true
}
