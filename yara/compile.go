package yara

import (
	"context"
	"fmt"
	"strings"

	libyara "github.com/hillu/go-yara/v4"

	"muster/server/fault"
)

const (
	maxErrors  = 20  // told of one file
	maxMessage = 300 // bytes of each
)

// Verdict is what the compiler says of a file.
type Verdict struct {
	Rules  []string // the names of its rules, in their order
	Errors []string // "line N: message", the first 20; none when it compiles
}

// Checker compiles a text and says how it went. Its error is not about the text.
type Checker func(ctx context.Context, source string) (Verdict, error)

// Rules are compiled rules.
type Rules struct{ compiled *libyara.Rules }

// Names returns the names of the rules, in their order.
func (r *Rules) Names() []string {
	names := []string{}
	for _, rule := range r.compiled.GetRules() {
		names = append(names, rule.Identifier())
	}
	return names
}

// Close frees what libyara holds. The rules cannot be used afterwards.
func (r *Rules) Close() { r.compiled.Destroy() }

// Compile compiles a text, in this process. Nothing outside of the text is read: a
// text that includes others does not compile, and there are no external variables.
// Faults: Unprocessable, naming the lines; Internal.
func Compile(source string) (*Rules, error) {
	compiler, err := libyara.NewCompiler()
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "Internal server error")
	}
	defer compiler.Destroy()
	compiler.DisableIncludes()
	if err := compiler.AddString(source, ""); err != nil {
		return nil, fault.Wrap(compileError(messages(compiler.Errors, source, err)), fault.Unprocessable, "The file does not compile")
	}
	compiled, err := compiler.GetRules()
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "Internal server error")
	}
	return &Rules{compiled}, nil
}

// compileError is what the compiler complains of.
type compileError []string

// Error returns the complaints as one line.
func (e compileError) Error() string { return strings.Join(e, "; ") }

func messages(complaints []libyara.CompilerMessage, source string, err error) []string {
	if len(complaints) == 0 {
		return []string{bounded(err.Error())}
	}
	texts := make([]string, 0, maxErrors)
	for _, c := range complaints[:min(len(complaints), maxErrors)] {
		line := c.Line
		if line == 0 { // libyara has no number for the end of the text
			line = 1 + strings.Count(strings.TrimRight(source, "\n"), "\n")
		}
		texts = append(texts, bounded(fmt.Sprintf("line %d: %s", line, c.Text)))
	}
	return texts
}

// bounded makes a message of libyara fit for answers: it may quote the text, and
// may be cut inside a character.
func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxMessage)], "")
}
