package outputs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"muster/server/hosts"
)

// Bounds of what is told of a row.
const (
	maxColumns   = 200      // of a row
	maxValue     = 4 << 10  // bytes of a value
	maxRow       = 64 << 10 // bytes of all values
	mailColumns  = 60
	mailValue    = 500
	maxReasons   = 32
	maxReasonLen = 600
)

// column is one of a row, fit for a line of text.
type column struct{ name, value string }

// columnsOf are the columns of a row by name: at most limit of them, values cut
// after size bytes, and all of them together bounded. What is no object has none.
func columnsOf(row json.RawMessage, limit, size int) []column {
	var values map[string]any
	decoder := json.NewDecoder(bytes.NewReader(row))
	decoder.UseNumber() // a process id is no 1.2e+09
	if decoder.Decode(&values) != nil {
		return nil
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	var columns []column
	room := maxRow
	for _, name := range names[:min(len(names), limit)] {
		value := cut(asLine(values[name]), min(size, room))
		room -= len(value)
		columns = append(columns, column{cut(name, 200), value})
	}
	return columns
}

// asLine is a value as text: texts as they are, others as JSON.
func asLine(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return ""
	}
	return strings.TrimSpace(text.String())
}

// cut is text of at most size bytes, with an ellipsis if something is missing.
func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	const ellipsis = "..."
	size = max(size-len(ellipsis), 0)
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size] + ellipsis
}

// reasons are the predicates that made an alert's row match, a line each. They are
// stored by pipeline; what it did not write is shown as it is.
func reasons(why json.RawMessage) []string {
	var stored []json.RawMessage
	if json.Unmarshal(why, &stored) != nil {
		return nil
	}
	lines := make([]string, 0, len(stored))
	for _, raw := range stored[:min(len(stored), maxReasons)] {
		var one struct {
			Field, Operator string
			Value, Actual   any
			Negated         bool
		}
		var line string
		if json.Unmarshal(raw, &one) == nil && one.Field != "" {
			not := ""
			if one.Negated {
				not = "not "
			}
			line = fmt.Sprintf("%s %s%s %s (it is %s)", one.Field, not, strings.ReplaceAll(one.Operator, "_", " "), asLine(one.Value), asLine(one.Actual))
		} else {
			line = string(raw)
		}
		lines = append(lines, oneLine(cut(line, maxReasonLen), maxReasonLen))
	}
	return lines
}

// summaryOf says in a line what was seen where.
func summaryOf(n Notice) string {
	line := n.Alert.Severity + ": " + n.Alert.Name + " on " + n.Host.DisplayName()
	if n.Test {
		line = "Test: " + line
	}
	return oneLine(line, maxSubject)
}

// textOf is a notice in plain text, without line ends from elsewhere.
func textOf(n Notice, columns int) string {
	var b strings.Builder
	b.WriteString(summaryOf(n) + "\n\n")
	if n.Test {
		b.WriteString("This is a sample that somebody asked for. Nothing was seen.\n\n")
	}
	line := func(title, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", title+":", oneLine(cut(value, mailValue), mailValue))
		}
	}
	line("Rule", n.Alert.Name)
	line("About", n.RuleDescription)
	line("Host", hostLine(n.Host))
	line("Tags", strings.Join(n.Host.Tags, ", "))
	line("Seen", stamp(seenAt(n)))
	line("Query", queryLine(n))
	line("Source", string(n.Alert.Source))
	line("ATT&CK", strings.Join(append(slices.Clone(n.Alert.TechniqueIDs), n.Alert.Tactics...), ", "))
	if n.Alert.Retro {
		line("Note", "this was stored before somebody knew to look for it")
	}
	if why := reasons(n.Event.Why); len(why) > 0 {
		b.WriteString("\nWhy it matched:\n  " + strings.Join(why, "\n  ") + "\n")
	}
	if row := columnsOf(n.Event.Columns, columns, mailValue); len(row) > 0 {
		b.WriteString("\nThe row:\n")
		for _, c := range row {
			fmt.Fprintf(&b, "  %-24s %s\n", oneLine(c.name, 200), oneLine(c.value, mailValue))
		}
	}
	if n.Link != "" {
		b.WriteString("\n" + n.Link + "\n")
	}
	return b.String()
}

// stamp is a time for people.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

func hostLine(h *hosts.Host) string {
	line := h.DisplayName()
	if line != h.Identifier {
		line += " (" + h.Identifier + ")"
	}
	if h.Platform != "" {
		line += ", " + h.Platform
	}
	return line
}

func queryLine(n Notice) string {
	if n.Event.Action == "" {
		return n.Event.QueryName
	}
	return n.Event.QueryName + ", " + n.Event.Action
}
