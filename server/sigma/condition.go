package sigma

import (
	"regexp"
	"strconv"
	"strings"
)

// expression reads a condition: or binds least, then and, then not.
type expression struct {
	*parser
	words    []string
	at       int
	brackets int
	line     int
}

var conditionWord = regexp.MustCompile(`[()|]|[^\s()|]+`)

// condition parses the text of a condition.
func (p *parser) condition(text string, line int) (node, error) {
	if len(text) > maxCondition {
		return nil, wrong(line, "the condition is longer than %d bytes", maxCondition)
	}
	e := expression{parser: p, words: conditionWord.FindAllString(text, -1), line: line}
	if strings.Contains(text, "|") {
		return nil, unusable(line, "aggregations in a condition (|) are not supported yet")
	}
	n, err := e.or()
	if err == nil && e.at < len(e.words) {
		err = e.wrong("there is %s where and, or or the end belongs", e.found())
	}
	return n, err
}

func (e *expression) wrong(format string, args ...any) error {
	return wrong(e.line, "condition: "+format, args...)
}

// found names what stands at the current place.
func (e *expression) found() string {
	if e.at == len(e.words) {
		return "the end"
	}
	return strconv.Quote(clip(e.words[e.at]))
}

// takes reports whether the word stands at the current place, and goes on if so.
func (e *expression) takes(word string) bool {
	if e.at == len(e.words) || !strings.EqualFold(e.words[e.at], word) {
		return false
	}
	e.at++
	return true
}

func (e *expression) or() (node, error) { return e.chain("or", e.and) }

func (e *expression) and() (node, error) { return e.chain("and", e.not) }

// chain reads operands with a word between them.
func (e *expression) chain(word string, operand func() (node, error)) (node, error) {
	g := &group{all: word == "and"}
	for {
		n, err := operand()
		if err != nil {
			return nil, err
		}
		if g.nodes = append(g.nodes, n); !e.takes(word) {
			break
		}
	}
	if len(g.nodes) == 1 {
		return g.nodes[0], nil
	}
	return g, nil
}

func (e *expression) not() (node, error) {
	negated := false
	for e.takes("not") {
		negated = !negated
	}
	n, err := e.operand()
	if negated {
		n = &negation{n}
	}
	return n, err
}

// operand reads brackets, a quantity of searches, or the name of one.
func (e *expression) operand() (node, error) {
	if e.takes("(") {
		return e.bracket()
	}
	if e.at == len(e.words) {
		return nil, e.wrong("there is the end where a search identifier belongs")
	}
	word := e.words[e.at]
	if e.at+1 < len(e.words) && strings.EqualFold(e.words[e.at+1], "of") {
		return e.quantity(word)
	}
	n, known := e.searches[word]
	switch {
	case known:
		e.at++
		return n, nil
	case word == ")", strings.EqualFold(word, "and"), strings.EqualFold(word, "or"):
		return nil, e.wrong("there is %s where a search identifier belongs", e.found())
	}
	return nil, e.wrong("there is no search identifier %s", clip(word))
}

func (e *expression) bracket() (node, error) {
	if e.brackets++; e.brackets > maxBrackets {
		return nil, e.wrong("brackets nest deeper than %d", maxBrackets)
	}
	n, err := e.or()
	e.brackets--
	if err == nil && !e.takes(")") {
		err = e.wrong("there is %s where ) belongs", e.found())
	}
	return n, err
}

// quantity reads "1 of them", "all of name*" and the like.
func (e *expression) quantity(word string) (node, error) {
	least, every := 1, strings.EqualFold(word, "all")
	if !every && !strings.EqualFold(word, "any") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, e.wrong("%q of: there must be all, any or a number from 1", clip(word))
		}
		least = n
	}
	e.at += 2
	if e.at == len(e.words) {
		return nil, e.wrong("there is the end behind %q of", clip(word))
	}
	pattern := e.words[e.at]
	chosen := e.chosen(pattern)
	if len(chosen) == 0 {
		return nil, e.wrong("no search identifier is meant by %s", clip(pattern))
	}
	e.at++
	if every {
		return &group{all: true, nodes: chosen}, nil
	}
	if least > len(chosen) {
		return nil, e.wrong("%d of %s, which means only %d search identifiers", least, clip(pattern), len(chosen))
	}
	return e.atLeast(least, chosen)
}

// chosen returns the searches that a pattern means, in which * stands for anything.
// Names that start with _ are meant only by patterns that do too.
func (e *expression) chosen(pattern string) []node {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	like := regexp.MustCompile(`^` + strings.Join(parts, `.*`) + `$`)
	all := strings.EqualFold(pattern, "them")
	var found []node
	for _, name := range e.names {
		if (all || like.MatchString(name)) && strings.HasPrefix(name, "_") == strings.HasPrefix(pattern, "_") {
			found = append(found, e.searches[name])
		}
	}
	return found
}

// atLeast is true when that many of the nodes are: one of the choices of so many.
func (e *expression) atLeast(least int, nodes []node) (node, error) {
	g := &group{}
	var choose func(from int, chosen []node) error
	choose = func(from int, chosen []node) error {
		if len(chosen) == least {
			*e.work += least
			if e.used += least; e.used > maxLeaves {
				return e.wrong("%d of %d searches can be chosen in too many ways", least, len(nodes))
			}
			g.nodes = append(g.nodes, &group{all: true, nodes: append([]node(nil), chosen...)})
			return nil
		}
		for i := from; i <= len(nodes)-(least-len(chosen)); i++ {
			if err := choose(i+1, append(chosen, nodes[i])); err != nil {
				return err
			}
		}
		return nil
	}
	return g, choose(0, nil)
}
