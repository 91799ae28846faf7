// Package sigma translates Sigma rules, the YAML of https://sigmahq.io, into the
// conditions of package condition: one variant for each table that reports what the
// rule looks for.
//
// Which tables these are, and which of their columns stands for a field of Sigma, is
// said by a Mapping, a YAML file that operators can replace. Besides, a rule can be
// about a table itself: {product: osquery, service: TABLE}. The package is a pure
// translation: it writes no table and knows no store, no host and no event.
//
// # Fields that a table lacks
//
// A rule may ask for fields that a table does not have. What a search says about such
// a field (an item: the field with its values, negated by neq or not) counts as false:
//
//   - among alternatives (lists of maps, "or", "1 of") the others remain. The rule
//     then misses what the alternative would have found.
//   - under "not" the exception goes. The rule then finds what the exception would
//     have spared.
//   - what has to be true (maps, "and", "all of") makes the whole false, and if that
//     is the rule, the rule is not applicable to the table.
//   - if nothing but exceptions is left, the rule is not applicable either: it would
//     find everything.
//
// Each field that was left out is named by a warning of the result.
package sigma

import (
	"errors"
	"unicode/utf8"

	"muster/server/fault"
)

// MaxText bounds the text of one Translate, in bytes.
const MaxText = 8 << 20

// maxWork bounds what one text may stand for: nodes of YAML, values, predicates. A few
// lines can stand for many of them, and rule sets of thousands stay far below.
const maxWork = 2_000_000

// Bounds of a rule.
const (
	maxDocuments = 20_000 // in a text
	maxDocument  = 512 << 10
	maxNodes     = 100_000 // of a document, with aliases resolved
	maxDepth     = 20      // of a document
	maxTitle     = 1 << 10
	maxText      = 64 << 10 // of any other text
	maxList      = 1000     // of references, tags and the like
	maxValues    = 50_000   // of a rule, with what modifiers make of them
	maxNames     = 1000     // search identifiers
	maxCondition = 16 << 10
	maxBrackets  = 50 // of a condition, nested
	maxLeaves    = 5000
)

// Outcome is what became of a rule.
type Outcome string

// The outcomes.
const (
	// Translated: the rule has at least one variant.
	Translated Outcome = "translated"
	// NotApplicable: the rule is well-formed and no table can answer it, or it uses a
	// part of Sigma that is not supported yet.
	NotApplicable Outcome = "not applicable"
	// Failed: the text is no Sigma rule.
	Failed Outcome = "failed"
)

// Result is what became of one document of a text.
type Result struct {
	// Rule is what the document says; when it failed, as much of it as was read.
	Rule    Rule
	Outcome Outcome
	Reason  string // why it was not translated, one sentence without the line
	// Line is where the reason stands in the text, from 1, else where the document starts.
	Line int
	// Text is the document.
	Text string
	// Warnings name tables that the rule does not apply to and fields that were left
	// out, with why.
	Warnings []string
}

// Rule is a Sigma rule.
type Rule struct {
	Title, ID, Description, Author string
	Level                          string // informational, low, medium, high, critical or ""
	Status                         string // stable, test, experimental, deprecated, unsupported or ""
	References, FalsePositives     []string
	Tags                           []string // as written
	Techniques                     []string // of ATT&CK, such as T1059.001, from the tags
	Tactics                        []string // of ATT&CK, such as defense-evasion, from the tags
	LogSource                      LogSource
	Variants                       []Variant // in the order of the mapping; one at least when translated
}

// LogSource is where a rule looks. Any of the three may be "".
type LogSource struct{ Category, Product, Service string }

// Variant is the rule for one kind of event. An event of one of the tables, on one of
// the platforms, that meets the conditions is a match of the rule.
type Variant struct {
	Tables    []string
	Platforms []string // linux, darwin, windows; none: any
	// Conditions are for condition.Parse with ConditionOptions, and for JSON. They ask
	// for the entry's own action as well where it matters: rows that are gone are for
	// rules about what is gone, and for no others.
	Conditions map[string]any
}

// Translate translates every document of a text, in order: a document that fails
// says so in its result and spares the others.
//
// Faults: Unprocessable for a text that is too large, is no UTF-8 or has too many
// documents.
func Translate(text []byte, m *Mapping) ([]Result, error) {
	if len(text) > MaxText {
		return nil, fault.New(fault.Unprocessable, "The rules are larger than %d MiB", MaxText>>20)
	}
	if !utf8.Valid(text) {
		return nil, fault.New(fault.Unprocessable, "The rules are no UTF-8 text")
	}
	documents := split(text)
	if len(documents) > maxDocuments {
		return nil, fault.New(fault.Unprocessable, "There are more than %d documents", maxDocuments)
	}
	results := make([]Result, 0, len(documents))
	work := 0
	for _, d := range documents {
		results = append(results, translate(d, m, &work))
	}
	return results, nil
}

func translate(d document, m *Mapping, work *int) Result {
	r := Result{Line: d.line, Text: string(d.text)}
	err := r.read(d, m, work)
	var wrong *mistake
	switch {
	case err == nil:
		r.Outcome = Translated
		return r
	case errors.As(err, &wrong):
		r.Outcome, r.Reason = wrong.outcome, wrong.text
		r.Line = max(r.Line, wrong.line)
	default:
		r.Outcome, r.Reason = Failed, fault.Public(err)
	}
	r.Rule.Variants = nil
	return r
}

// read fills the result from a document.
func (r *Result) read(d document, m *Mapping, work *int) error {
	if *work > maxWork {
		return wrong(d.line, "the documents before it are as much as can be translated at once")
	}
	root, err := d.parse(work)
	if err != nil {
		return err
	}
	if err := r.Rule.read(root); err != nil {
		return err
	}
	p := parser{mapping: m, work: work}
	rule, err := p.detection(root)
	if err != nil {
		return err
	}
	return r.apply(rule, m, work)
}
