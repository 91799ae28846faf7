package condition

import "muster/server/fault"

// operator is a word of the query builder.
type operator struct {
	takes   arity
	negated bool // of what build returns
	build   func(values []value, path string) (predicate, error)
}

// operators are all that the API knows. A word and its negation differ in nothing else.
var operators = map[string]operator{
	"equal":                {one, false, newEqual},
	"not_equal":            {one, true, newEqual},
	"in":                   {many, false, newEqual},
	"not_in":               {many, true, newEqual},
	"contains":             {one, false, newContains},
	"not_contains":         {one, true, newContains},
	"begins_with":          {one, false, newBegins},
	"not_begins_with":      {one, true, newBegins},
	"ends_with":            {one, false, newEnds},
	"not_ends_with":        {one, true, newEnds},
	"is_empty":             {none, false, newEmpty},
	"is_not_empty":         {none, true, newEmpty},
	"is_null":              {none, false, newMissing},
	"is_not_null":          {none, true, newMissing},
	"is_ascii":             {none, false, newASCII},
	"less":                 {one, false, compares("<")},
	"less_or_equal":        {one, false, compares("<=")},
	"greater":              {one, false, compares(">")},
	"greater_or_equal":     {one, false, compares(">=")},
	"between":              {two, false, newBetween},
	"not_between":          {two, true, newBetween},
	"matches_regex":        {one, false, newRegex},
	"not_matches_regex":    {one, true, newRegex},
	"matches_wildcard":     {one, false, newWildcard},
	"not_matches_wildcard": {one, true, newWildcard},
	"matches_phish_tank":   {none, false, noFeed},
}

// noFeed refuses an operator of the original that never matched anything there.
func noFeed([]value, string) (predicate, error) {
	return nil, fault.New(fault.Unprocessable, "matches_phish_tank cannot be used: there is no PhishTank feed on this server. Use indicators of the type url or domain_name")
}
