package sigma

import (
	"fmt"
	"strings"
)

// mistake is why a rule is not translated.
type mistake struct {
	line    int // of the text, 0 when unknown
	text    string
	outcome Outcome
}

func (m *mistake) Error() string { return m.text }

// wrong is a mistake in the rule.
func wrong(line int, format string, args ...any) error {
	return &mistake{line: line, text: fmt.Sprintf(format, args...), outcome: Failed}
}

// unusable says why a rule that is well-formed cannot be used.
func unusable(line int, format string, args ...any) error {
	return &mistake{line: line, text: fmt.Sprintf(format, args...), outcome: NotApplicable}
}

// clip bounds what a message repeats.
func clip(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
