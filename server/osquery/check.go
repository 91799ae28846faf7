package osquery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"muster/server/fault"
)

// MaxLength bounds a query in bytes.
const MaxLength = 64 << 10

// checkTime bounds one check. SQLite's own limits bound the work: a check that
// takes longer ends in the background.
const checkTime = 5 * time.Second

// invalid is the sentence of the original API (esp-api.md 1.15).
const invalid = "Field must contain valid SQL to be run against osquery tables"

// checkers are the process's databases of every table of every platform.
var checkers = newPool(Tables)

// Check reports whether sql is one SELECT (also WITH or VALUES; a ; at the end is
// fine) over osquery's tables and functions. It compiles the text and runs
// nothing. That a table needs a constraint, or does not exist on every platform,
// is no error. It is safe for concurrent use.
//
// Faults: Unprocessable, whose sentence says what is wrong and where (line and
// column count from 1); Busy when ctx or the time for a check ends first.
func Check(ctx context.Context, sql string) error {
	finding, err := Examine(ctx, sql)
	if err != nil || finding == nil {
		return err
	}
	return fault.New(fault.Unprocessable, "%s: %s", invalid, finding)
}

// Finding is what is wrong with a query.
type Finding struct {
	Text         string // in SQLite's words or ours, bounded
	Line, Column int    // from 1; 0 when unknown
	// UnknownName tells that it is a query, over a table, a column or a function
	// that osquery does not have: an older or newer one, or one with extensions, may.
	UnknownName bool
}

// String says where and what.
func (f *Finding) String() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Text)
}

// Examine is Check for those who tell the kinds of mistakes apart: nil for a query
// that Check takes. Faults: Busy when ctx or the time for a check ends first.
func Examine(ctx context.Context, sql string) (*Finding, error) {
	if problem := readable(sql); problem != nil {
		return problem.finding(sql), nil
	}
	tokens := lex(sql)
	if problem := single(tokens); problem != nil {
		return problem.finding(sql), nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	databases, err := checkers.take(ctx)
	if err != nil {
		return nil, err
	}
	done := make(chan *Finding, 1)
	go func() {
		defer checkers.put(databases)
		done <- compile(databases, sql, tokens).finding(sql)
	}()
	select {
	case finding := <-done:
		return finding, nil
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Busy, "The query takes too long to check")
	}
}

// problem is what is wrong with a query.
type problem struct {
	text string
	at   int // byte, or -1 when unknown
}

// unknownName are SQLite's messages about names that it looks up once the text is
// known to be a query.
var unknownName = []string{"no such table: ", "no such column: ", "no such function: "}

func (p *problem) finding(sql string) *Finding {
	if p == nil {
		return nil
	}
	f := &Finding{Text: shorten(p.text, 300)}
	if p.at >= 0 {
		f.Line, f.Column = position(sql, p.at)
	}
	f.UnknownName = slices.ContainsFunc(unknownName, func(words string) bool { return strings.HasPrefix(p.text, words) })
	return f
}

// position counts lines and, in characters, columns from 1.
func position(sql string, at int) (line, column int) {
	before := sql[:min(at, len(sql))]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// shorten cuts a text that repeats what the client sent.
func shorten(text string, length int) string {
	if len(text) <= length {
		return text
	}
	return strings.ToValidUTF8(text[:length], "") + "..."
}

func readable(sql string) *problem {
	switch {
	case len(sql) > MaxLength:
		return &problem{fmt.Sprintf("the query is longer than %d bytes", MaxLength), -1}
	case strings.IndexByte(sql, 0) >= 0:
		return &problem{"a NUL character", strings.IndexByte(sql, 0)}
	case !utf8.ValidString(sql):
		return &problem{"not valid UTF-8", len(sql) - len(strings.TrimLeftFunc(sql, func(r rune) bool { return r != utf8.RuneError }))}
	}
	return nil
}

// single checks that the tokens are one statement of a kind that reads.
func single(tokens []token) *problem {
	ended := false
	for i, t := range tokens {
		if t.kind == endToken {
			ended = i > 0
			continue
		}
		if ended {
			return &problem{"only one statement is allowed", t.start}
		}
	}
	if len(tokens) == 0 || tokens[0].kind == endToken {
		return &problem{"the query is empty", -1}
	}
	switch first := tokens[0]; strings.ToUpper(first.text) {
	case "SELECT", "WITH", "VALUES":
		return nil
	default:
		return &problem{onlySelect + ", not " + shorten(first.text, 40), first.start}
	}
}

// compile prepares the statement in both databases and explains the failure.
func compile(databases *pair, sql string, tokens []token) *problem {
	_, statement, err := databases.prepare(sql)
	if err == nil {
		_ = statement.Close()
		return nil
	}
	if errors.Is(err, errParameter) {
		return &problem{err.Error(), parameterAt(tokens)}
	}
	return explain(databases.whole, err.Error(), sql, tokens)
}

func parameterAt(tokens []token) int {
	for _, t := range tokens {
		if t.kind == otherToken && strings.ContainsAny(t.text[:1], "?@#$:") {
			return t.start
		}
	}
	return -1
}
