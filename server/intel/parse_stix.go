package intel

import (
	"encoding/json"

	"muster/server/fault"
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
	if !json.Valid(content) {
		return noJSON("STIX")
	}
	if string(member(content, "type")) != `"bundle"` {
		return fault.New(fault.Unprocessable, "The file is no bundle of STIX")
	}
	var o stixObject
	number := 0
	for raw := range elements(member(content, "objects")) {
		number++
		o = stixObject{}
		switch {
		case !decoded(raw, &o):
			g.problem(number, "it is no object of STIX")
		case o.Type != "indicator":
		case o.Revoked:
			g.parsed.Skipped++
		default:
			g.addSTIX(number, o)
		}
		if g.full {
			break
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
