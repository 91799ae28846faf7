package intel

import (
	"strings"

	"muster/server/indicator"
)

// stixLeaf is a comparison that is an indicator.
type stixLeaf struct {
	of    indicator.Type
	value string
}

func (l stixLeaf) hash() bool { return l.of == MD5 || l.of == SHA1 || l.of == SHA256 }

// Bounds of a pattern.
const (
	maxPattern = 64 << 10
	maxNesting = 32
)

// readPattern reads observations that are joined by OR or AND, each of which is
// comparisons joined by OR, or by AND where hashes say all of it: a file of a name
// and a hash is the file of the hash. Whatever else there is in a pattern is a problem.
func readPattern(pattern string) (leaves []stixLeaf, problems []string) {
	if len(pattern) > maxPattern {
		return nil, []string{"its pattern is too long"}
	}
	p := &stixParser{rest: pattern}
	p.next()
	p.observations(0)
	if p.problem == "" && p.token != "" {
		p.fail("its pattern has %s where it should end", quoted(p.token))
	}
	if p.problem != "" {
		return nil, []string{p.problem}
	}
	return p.leaves, p.problems
}

// observations reads what stands outside of brackets.
func (p *stixParser) observations(depth int) {
	for {
		switch {
		case depth > maxNesting:
			p.fail("its pattern nests too deep")
		case p.is("("):
			p.next()
			p.observations(depth + 1)
			p.expect(")")
		case p.is("["):
			p.next()
			found := p.comparisons(depth + 1)
			p.expect("]")
			p.leaves = append(p.leaves, found...)
		default:
			p.fail("its pattern has %s where an observation should begin", quoted(p.token))
		}
		if !p.is("OR") && !p.is("AND") {
			return
		}
		p.next()
	}
}

func (p *stixParser) expect(mark string) {
	if !p.is(mark) {
		p.fail("its pattern has %s where %s should be", quoted(p.token), mark)
		return
	}
	p.next()
}

// comparisons reads what stands in brackets: AND binds closer than OR.
func (p *stixParser) comparisons(depth int) []stixLeaf {
	all := p.conjunction(depth)
	for p.is("OR") {
		p.next()
		all = append(all, p.conjunction(depth)...)
	}
	return all
}

func (p *stixParser) conjunction(depth int) []stixLeaf {
	before := len(p.problems)
	parts := [][]stixLeaf{p.comparison(depth)}
	for p.is("AND") {
		p.next()
		parts = append(parts, p.comparison(depth))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	var hashes []stixLeaf
	for _, part := range parts {
		for _, l := range part {
			if l.hash() {
				hashes = append(hashes, l)
			}
		}
	}
	p.problems = p.problems[:min(before, len(p.problems))]
	if len(hashes) == 0 {
		p.problems = append(p.problems, "its pattern joins by AND what cannot be looked for one by one")
	}
	return hashes
}

// comparison reads one comparison, or several in parentheses.
func (p *stixParser) comparison(depth int) []stixLeaf {
	if p.is("(") {
		if depth > maxNesting {
			p.fail("its pattern nests too deep")
			return nil
		}
		p.next()
		all := p.comparisons(depth + 1)
		p.expect(")")
		return all
	}
	path := p.token
	p.next()
	operator := strings.ToUpper(p.token)
	if p.text {
		operator = ""
	}
	p.next()
	values := p.values(operator)
	of, known := stixTypes[strings.ToLower(strings.ReplaceAll(path, "'", ""))]
	subset := operator == "ISSUBSET" && of == Address
	switch {
	case p.problem != "":
		return nil
	case !known:
		p.problems = append(p.problems, quoted(path)+" is nothing that is looked for")
		return nil
	case operator != "=" && operator != "IN" && !subset:
		p.problems = append(p.problems, quoted(operator)+" is no comparison that can be looked for")
		return nil
	}
	all := make([]stixLeaf, 0, len(values))
	for _, value := range values {
		all = append(all, stixLeaf{of, value})
	}
	return all
}

// values reads what stands on the right: a text, a word, or a list of them.
func (p *stixParser) values(operator string) []string {
	if p.token == "" && !p.text {
		p.fail("its pattern ends too early")
		return nil
	}
	if operator != "IN" {
		value := p.token
		p.next()
		return []string{value}
	}
	p.expect("(")
	var all []string
	for p.problem == "" {
		all = append(all, p.token)
		p.next()
		if !p.is(",") {
			break
		}
		p.next()
	}
	p.expect(")")
	return all
}

// stixTypes are the properties that are looked for, in lower case and without quotes.
var stixTypes = map[string]indicator.Type{
	"file:hashes.md5": MD5, "file:hashes.sha-1": SHA1, "file:hashes.sha1": SHA1, "file:hashes.sha-256": SHA256, "file:hashes.sha256": SHA256,
	"ipv4-addr:value": Address, "ipv6-addr:value": Address,
	"network-traffic:dst_ref.value": Address, "network-traffic:src_ref.value": Address,
	"domain-name:value": Domain, "url:value": URL, "file:name": Path, "file:path": Path,
}
