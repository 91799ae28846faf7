package osquery

import (
	"database/sql/driver"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// SQLite says what is wrong but the driver does not say where. explain finds the
// token that the message names and, for a name that nobody knows, one that is
// spelt almost so.
func explain(c *connection, message, sql string, tokens []token) *problem {
	if c.refused == onlySelect {
		return &problem{onlySelect, writeAt(tokens)}
	}
	if c.refused != "" {
		return &problem{message, nameAt(tokens, strings.ToLower(c.refused), anyUse)}
	}
	if message == "incomplete input" {
		return &problem{"the query ends too early", len(strings.TrimRight(sql, " \t\r\n;"))}
	}
	if near, ok := cut(message, `near "`, `": syntax error`); ok {
		return &problem{message, syntaxErrorAt(c, message, near, sql, tokens)}
	}
	if _, ok := cut(message, `unrecognized token: "`, `"`); ok {
		return &problem{message, illegalAt(tokens)}
	}
	for _, m := range named {
		if found := m.pattern.FindStringSubmatch(message); found != nil {
			name := strings.ToLower(strings.Trim(found[1], `"`))
			return &problem{message + didYouMean(c, m.use, name, tokens), nameAt(tokens, name, m.use)}
		}
	}
	return &problem{message, -1}
}

func illegalAt(tokens []token) int {
	for _, t := range tokens {
		if t.kind == illegalToken {
			return t.start
		}
	}
	return -1
}

// writeAt finds the word that makes a WITH statement write.
func writeAt(tokens []token) int {
	for _, t := range tokens {
		if slices.Contains([]string{"INSERT", "REPLACE", "UPDATE", "DELETE"}, strings.ToUpper(t.text)) {
			return t.start
		}
	}
	return -1
}

func cut(s, before, after string) (string, bool) {
	if !strings.HasPrefix(s, before) || !strings.HasSuffix(s, after) || len(s) < len(before)+len(after) {
		return "", false
	}
	return s[len(before) : len(s)-len(after)], true
}

// syntaxErrorAt finds which of several equal tokens the parser stumbled over: a
// text that ends with an earlier one fails otherwise, one that ends with it or a
// later one fails just so.
func syntaxErrorAt(c *connection, message, near, sql string, tokens []token) int {
	var same []token
	for _, t := range tokens {
		if t.text == near {
			same = append(same, t)
		}
	}
	at := sort.Search(len(same), func(i int) bool {
		err := c.valid(sql[:same[i].end])
		return err != nil && err.Error() == message
	})
	if at == len(same) {
		return -1
	}
	return same[at].start
}

// use is how a name stands in a query.
type use int

const (
	anyUse use = iota
	tableUse
	columnUse
	functionUse
)

// named are SQLite's messages that name something.
var named = []struct {
	pattern *regexp.Regexp
	use     use
}{
	{regexp.MustCompile(`^no such table: (.+)$`), tableUse},
	{regexp.MustCompile(`^no such function: (.+)$`), functionUse},
	{regexp.MustCompile(`^wrong number of arguments to function (.+)\(\)$`), functionUse},
	{regexp.MustCompile(`^misuse of (?:aliased )?(?:aggregate|window)(?: function)?:? (.+?)(?:\(\))?$`), functionUse},
	{regexp.MustCompile(`^no such column: ("[^"]+"|.+?)(?: - should this be a string literal in single-quotes\?)?$`), columnUse},
	{regexp.MustCompile(`^ambiguous column name: (.+)$`), columnUse},
	{regexp.MustCompile(`^cannot join using column (.+) - column not present in both tables$`), anyUse},
	{regexp.MustCompile(`^(?:no such collation sequence|no such window|circular reference|duplicate WITH table name): (.+)$`), anyUse},
	{regexp.MustCompile(`^table (.+) has \d+ values for \d+ columns$`), anyUse},
}

// nameAt finds where a name (perhaps a.b) stands in that use; failing that, where
// it stands at all.
func nameAt(tokens []token, name string, want use) int {
	parts := strings.Split(name, ".")
	fallback := -1
	for i := range tokens {
		end := i + 2*len(parts) - 1
		if end > len(tokens) || !spells(tokens[i:end], parts) {
			continue
		}
		if fallback < 0 {
			fallback = tokens[i].start
		}
		if want == anyUse || usedAs(tokens, i, end) == want {
			return tokens[i].start
		}
	}
	return fallback
}

func spells(tokens []token, parts []string) bool {
	for i, t := range tokens {
		if i%2 == 1 && t.text != "." || i%2 == 0 && (t.kind != wordToken || t.name() != parts[i/2]) {
			return false
		}
	}
	return true
}

// usedAs guesses from its neighbours how the name of tokens[start:end] is used.
func usedAs(tokens []token, start, end int) use {
	before, after := "", ""
	if start > 0 {
		before = strings.ToLower(tokens[start-1].text)
	}
	if end < len(tokens) {
		after = tokens[end].text
	}
	switch {
	case before == "from" || before == "join":
		return tableUse
	case after == "(":
		return functionUse
	case before == "as" || before == "." || after == ".":
		return anyUse
	case before == "," && afterFrom(tokens[:start]):
		return tableUse
	}
	return columnUse
}

// afterFrom reports whether a comma at the end of tokens separates tables.
func afterFrom(tokens []token) bool {
	for depth, i := 0, len(tokens)-1; i >= 0; i-- {
		switch word := strings.ToLower(tokens[i].text); {
		case word == ")":
			depth++
		case word == "(":
			depth--
		case depth == 0 && word == "from":
			return true
		case depth == 0 && slices.Contains([]string{"select", "where", "group", "order", "having", "on", "using", "with"}, word):
			return false
		}
		if depth < 0 {
			return false
		}
	}
	return false
}

// didYouMean is " (did you mean x?)" for the known name nearest to an unknown one.
func didYouMean(c *connection, want use, name string, tokens []token) string {
	var known []string
	switch want {
	case tableUse:
		known = tableNames()
	case functionUse:
		known = c.functionNames()
	case columnUse:
		known = columnNames(tokens)
	default:
		return ""
	}
	name = name[strings.LastIndexByte(name, '.')+1:]
	if slices.Contains(known, name) {
		return "" // it exists: something else is wrong with it
	}
	best, least := "", min(3, len(name)/3+1)+1
	for _, candidate := range known {
		if d := distance(name, candidate, least); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

func tableNames() []string {
	var names []string
	for _, table := range Tables() {
		names = append(append(names, table.Name), table.Aliases...)
	}
	return names
}

// columnNames are the columns of the tables that a query names.
func columnNames(tokens []token) []string {
	var names []string
	for _, t := range tokens {
		if t.kind != wordToken {
			continue
		}
		table, _ := Find(t.name())
		for _, column := range table.Columns {
			names = append(names, column.Name)
		}
	}
	return names
}

// functionNames are the functions that the database knows.
func (c *connection) functionNames() []string {
	c.open = true
	defer func() { c.open = false }()
	rows, err := c.Query("SELECT DISTINCT name FROM pragma_function_list ORDER BY name", nil)
	if err != nil {
		return nil
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for value := make([]driver.Value, 1); rows.Next(value) == nil; {
		name, _ := text(value[0])
		if isWord(name[0]) {
			names = append(names, name)
		}
	}
	return names
}

// distance counts the letters to insert, drop, change or swap between two names,
// up to a bound.
func distance(a, b string, bound int) int {
	if max(len(a), len(b))-min(len(a), len(b)) >= bound {
		return bound
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
