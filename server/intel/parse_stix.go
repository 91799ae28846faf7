package intel

import (
	"encoding/json"
	"fmt"
	"strings"

	"muster/server/fault"
	"muster/server/indicator"
)

// stixObject is what is read of an object in a bundle.
type stixObject struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Pattern     string `json:"pattern"`
	PatternType string `json:"pattern_type"`
	ValidUntil  string `json:"valid_until"`
	Confidence  int    `json:"confidence"`
	Revoked     bool   `json:"revoked"`
}

// readSTIX reads the indicators of a bundle; its other objects say nothing to us.
func readSTIX(g *gatherer, content []byte) error {
	var bundle struct {
		Type    string            `json:"type"`
		Objects []json.RawMessage `json:"objects"`
	}
	if err := json.Unmarshal(content, &bundle); err != nil {
		return noJSON(err, "STIX")
	}
	if bundle.Type != "bundle" {
		return fault.New(fault.Unprocessable, "The file is no bundle of STIX")
	}
	for i, raw := range bundle.Objects {
		var o stixObject
		switch err := json.Unmarshal(raw, &o); {
		case err != nil:
			g.problem(i+1, "it is no object of STIX")
		case o.Type != "indicator":
		case o.Revoked:
			g.parsed.Skipped++
		default:
			g.addSTIX(i+1, o)
		}
	}
	return nil
}

func (g *gatherer) addSTIX(number int, o stixObject) {
	if o.PatternType != "" && o.PatternType != "stix" {
		g.problem(number, "its pattern is of the type "+quoted(o.PatternType))
		return
	}
	leaves, problems := readPattern(o.Pattern)
	for _, problem := range problems {
		g.problem(number, problem)
	}
	n := NewIndicator{ThreatName: o.Name, Description: o.Description, Confidence: min(max(o.Confidence, 0), 100)}
	n.Expires, _ = readTime(o.ValidUntil)
	for _, l := range leaves {
		n.Type, n.Value = l.of, l.value
		g.add(number, n)
	}
}

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

// stixParser goes through a pattern token by token.
type stixParser struct {
	rest     string
	token    string // "" at the end
	text     bool   // the token is a text in quotes, without them
	leaves   []stixLeaf
	problems []string // of parts that others do without
	problem  string   // of the whole
}

func (p *stixParser) fail(sentence string, args ...any) {
	if p.problem == "" {
		p.problem = fmt.Sprintf(sentence, args...)
	}
	p.rest, p.token, p.text = "", "", false
}

// next takes the next token.
func (p *stixParser) next() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	p.token, p.text = "", false
	if p.rest == "" {
		return
	}
	if p.rest[0] == '\'' {
		p.quotedText()
		return
	}
	length := 1
	if !strings.ContainsRune("[](),=", rune(p.rest[0])) {
		for length < len(p.rest) && !strings.ContainsRune("[](),= \t\r\n", rune(p.rest[length])) {
			if p.rest[length] == '\'' { // a part of a path in quotes
				if end := strings.IndexByte(p.rest[length+1:], '\''); end >= 0 {
					length += end + 1
				}
			}
			length++
		}
	}
	p.token, p.rest = p.rest[:length], p.rest[length:]
}

func (p *stixParser) quotedText() {
	var text strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest):
			i++
			text.WriteByte(p.rest[i])
		case c == '\'':
			p.token, p.text, p.rest = text.String(), true, p.rest[i+1:]
			return
		default:
			text.WriteByte(c)
		}
	}
	p.fail("its pattern has a text without an end")
}

// is says whether the token is a word or a mark.
func (p *stixParser) is(word string) bool { return !p.text && strings.EqualFold(p.token, word) }

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
