package yara

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	libyara "github.com/hillu/go-yara/v4"

	"muster/server/fault"
)

// Bounds of a scan.
const (
	// MaxScanned is how many bytes of one file are looked at.
	MaxScanned = 256 << 20
	// scanTime is for one file.
	scanTime = time.Minute

	maxPieces    = 20  // strings told of one match
	maxPiece     = 64  // bytes told of each
	maxMetaText  = 500 // bytes of a text among the metadata
	maxScanLines = 20  // problems told of one scan
)

// Source is a file of rules to scan with. Its name keeps rules of the same name in
// two files apart.
type Source struct{ Name, Content string }

// Piece is a string of a rule where it was found.
type Piece struct {
	Name   string // such as $a
	Offset uint64 // in the file, in bytes
	Data   string // what stands there; what is no text is written as \x00
}

// Match is a rule that matches.
type Match struct {
	Rule    string
	File    string // of rules
	Tags    []string
	Meta    map[string]any // text, whole numbers, true and false
	Strings []Piece        // the first 20
}

// CompileSet compiles files beside each other. Those that do not compile are left
// out, and problems says why. Faults: Internal.
func CompileSet(sources []Source) (rules *Rules, problems []string, err error) {
	for {
		rules, bad, err := compileTogether(sources)
		if bad < 0 {
			return rules, problems, err
		}
		problems = append(problems, fmt.Sprintf("%s: %s", sources[bad].Name, bounded(err.Error())))
		sources = slices.Delete(slices.Clone(sources), bad, bad+1)
	}
}

// compileTogether compiles files into one set of rules. bad is the first that does
// not compile, after which a compiler is of no use any more; -1: none.
func compileTogether(sources []Source) (rules *Rules, bad int, err error) {
	compiler, err := libyara.NewCompiler()
	if err != nil {
		return nil, -1, fault.Wrap(err, fault.Internal, "Internal server error")
	}
	defer compiler.Destroy()
	compiler.DisableIncludes()
	for i, source := range sources {
		if err := compiler.AddString(source.Content, source.Name); err != nil {
			return nil, i, compileError(messages(compiler.Errors, source.Content, err))
		}
	}
	compiled, err := compiler.GetRules()
	if err != nil {
		return nil, -1, fault.Wrap(err, fault.Internal, "The YARA files do not compile together")
	}
	return &Rules{compiled}, -1, nil
}

// Scan looks at a file: at its first MaxScanned bytes, and says whether there were
// more. It takes a minute at most. Faults: Unprocessable when it takes longer or the
// rules cannot be applied; the error of reading.
func (r *Rules) Scan(file io.Reader) (matches []Match, more bool, err error) {
	content, err := io.ReadAll(io.LimitReader(file, MaxScanned+1))
	if err != nil {
		return nil, false, err
	}
	if more = len(content) > MaxScanned; more {
		content = content[:MaxScanned]
	}
	var found libyara.MatchRules
	if err := r.compiled.ScanMem(content, 0, scanTime, &found); err != nil {
		return nil, more, fault.Wrap(err, fault.Unprocessable, "The file cannot be scanned: %s", bounded(err.Error()))
	}
	for _, m := range found {
		matches = append(matches, told(m))
	}
	return matches, more, nil
}

// told is a match within bounds, and as text.
func told(m libyara.MatchRule) Match {
	match := Match{Rule: m.Rule, File: m.Namespace, Tags: m.Tags, Meta: map[string]any{}}
	for _, meta := range m.Metas {
		value := meta.Value
		if text, ok := value.(string); ok {
			value = strings.ToValidUTF8(text[:min(len(text), maxMetaText)], "\uFFFD")
		}
		match.Meta[meta.Identifier] = value
	}
	for _, s := range m.Strings[:min(len(m.Strings), maxPieces)] {
		match.Strings = append(match.Strings, Piece{Name: s.Name, Offset: s.Base + s.Offset, Data: readable(s.Data[:min(len(s.Data), maxPiece)])})
	}
	return match
}

// readable writes bytes so that people can read them and no terminal obeys them.
func readable(data []byte) string {
	var text strings.Builder
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError || r < ' ' || r == 0x7f {
			fmt.Fprintf(&text, `\x%02x`, data[0])
			size = 1
		} else {
			text.WriteRune(r)
		}
		data = data[size:]
	}
	return text.String()
}
