package condition

import (
	"strings"

	"muster/server/fault"
)

// builder makes a predicate of the values that stand under path.
type builder func(p *parser, values []value, path string) (predicate, error)

// operator is a word of the query builder.
type operator struct {
	takes   arity
	build   builder
	relates relation // of another field, instead of values
	// only: there is no form that begins with not_.
	only bool
}

// operators are all that the API knows, without those that negate one of them.
var operators = map[string]operator{
	"equal":                   {takes: one, build: equals(folding)},
	"in":                      {takes: many, build: equals(folding)},
	"contains":                {takes: many, build: texted(newContains, folding)},
	"begins_with":             {takes: many, build: texted(newBegins, folding)},
	"ends_with":               {takes: many, build: texted(newEnds, folding)},
	"matches_wildcard":        {takes: many, build: wildcards(folding)},
	"equal_cased":             {takes: many, build: equals(cased)},
	"in_cased":                {takes: many, build: equals(cased)},
	"contains_cased":          {takes: many, build: texted(newContains, cased)},
	"begins_with_cased":       {takes: many, build: texted(newBegins, cased)},
	"ends_with_cased":         {takes: many, build: texted(newEnds, cased)},
	"matches_wildcard_cased":  {takes: many, build: wildcards(cased)},
	"matches_regex":           {takes: many, build: newRegex},
	"in_network":              {takes: many, build: newNetworks},
	"equal_field":             {takes: another, relates: relation{equalTo, folding}},
	"contains_field":          {takes: another, relates: relation{containing, folding}},
	"begins_with_field":       {takes: another, relates: relation{beginningWith, folding}},
	"ends_with_field":         {takes: another, relates: relation{endingWith, folding}},
	"equal_field_cased":       {takes: another, relates: relation{equalTo, cased}},
	"contains_field_cased":    {takes: another, relates: relation{containing, cased}},
	"begins_with_field_cased": {takes: another, relates: relation{beginningWith, cased}},
	"ends_with_field_cased":   {takes: another, relates: relation{endingWith, cased}},
	"is_empty":                {takes: none, build: valueless(empty{}), only: true},
	"is_null":                 {takes: none, build: valueless(missing{}), only: true},
	"is_ascii":                {takes: none, build: valueless(ascii{}), only: true},
	"less":                    {takes: one, build: compares("<"), only: true},
	"less_or_equal":           {takes: one, build: compares("<="), only: true},
	"greater":                 {takes: one, build: compares(">"), only: true},
	"greater_or_equal":        {takes: one, build: compares(">="), only: true},
	"between":                 {takes: two, build: newBetween},
	"matches_phish_tank":      {takes: none, build: noFeed, only: true},
}

// negations are words that negate an operator in a way of their own.
var negations = map[string]string{"is_not_empty": "is_empty", "is_not_null": "is_null"}

// lookup takes a word apart: the operator, its own word, and whether it is negated.
func lookup(word string) (op operator, own string, negated, known bool) {
	if op, known = operators[word]; known {
		return op, word, false, true
	}
	if own, known = negations[word]; known {
		return operators[own], own, true, true
	}
	own, negated = strings.CutPrefix(word, "not_")
	op, known = operators[own]
	return op, own, true, known && negated && !op.only
}

// noFeed refuses an operator of the original that never matched anything there.
func noFeed(*parser, []value, string) (predicate, error) {
	return nil, fault.New(fault.Unprocessable, "matches_phish_tank cannot be used: there is no PhishTank feed on this server. Use indicators of the type url or domain_name")
}
