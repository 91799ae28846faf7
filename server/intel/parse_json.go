package intel

import (
	"bytes"
	"encoding/json"
	"strings"

	"muster/server/fault"
)

func noJSON(what string) error {
	return fault.New(fault.Unprocessable, "The file is no JSON of %s", what)
}

// mispEvent is what is read of an event, beside its attributes.
type mispEvent struct {
	Info  string          `json:"info"`
	Level json.RawMessage `json:"threat_level_id"` // a text or a number
}

type mispAttribute struct {
	Type    string `json:"type"`
	Value   string `json:"value"`
	Comment string `json:"comment"`
	IDs     bool   `json:"to_ids"`
	Deleted bool   `json:"deleted"`
}

// readMISP reads an event, or several in a list or as an answer of MISP's.
func readMISP(g *gatherer, content []byte) error {
	if !json.Valid(content) {
		return noJSON("MISP")
	}
	r := mispReader{g: g}
	for _, list := range [][]byte{content, member(content, "response")} {
		for file := range elements(list) {
			if r.event(member(file, "Event")); g.full {
				return nil
			}
		}
	}
	r.event(member(content, "Event"))
	if r.events == 0 {
		return fault.New(fault.Unprocessable, "There is no event of MISP in the file")
	}
	return nil
}

// mispReader counts what it reads.
type mispReader struct {
	g              *gatherer
	events, number int
}

func (r *mispReader) event(text []byte) {
	var event mispEvent
	if !decoded(text, &event) {
		if text != nil {
			r.g.problem(r.number+1, "it is no event of MISP")
		}
		return
	}
	r.events++
	r.attributes(&event, member(text, "Attribute"), false)
	for object := range elements(member(text, "Object")) {
		var o struct {
			Deleted bool `json:"deleted"`
		}
		if !decoded(object, &o) {
			r.g.problem(r.number+1, "it is no object of MISP")
		}
		if r.attributes(&event, member(object, "Attribute"), o.Deleted); r.g.full {
			return
		}
	}
}

// attributes reads a list of them; deleted: the object that they are of is.
func (r *mispReader) attributes(event *mispEvent, list []byte, deleted bool) {
	var a mispAttribute
	for text := range elements(list) {
		r.number++
		a = mispAttribute{}
		if decoded(text, &a) {
			a.Deleted = a.Deleted || deleted
			r.g.addMISP(r.number, event, a)
		} else {
			r.g.problem(r.number, "it is no attribute of MISP")
		}
		if r.g.full {
			return
		}
	}
}

// mispSeverities are MISP's threat levels.
var mispSeverities = map[string]string{"1": "CRITICAL", "2": "WARNING", "3": "LOW"}

func (g *gatherer) addMISP(number int, event *mispEvent, a mispAttribute) {
	if !a.IDs || a.Deleted {
		g.parsed.Skipped++
		return
	}
	n := NewIndicator{ThreatName: event.Info, Severity: mispSeverities[strings.Trim(string(event.Level), `"`)], Description: a.Comment}
	of, value := strings.ToLower(a.Type), a.Value
	first, second, paired := strings.Cut(of, "|")
	if !paired {
		first, second = of, ""
	}
	one, other, _ := strings.Cut(value, "|")
	switch {
	case !paired:
		one, other = value, ""
	case first == "filename":
		first, one, second = second, other, "" // the hash says which file
	case second == "port":
		second = ""
	}
	if typeNames[first] == "" {
		g.problem(number, quoted(a.Type)+" is no type that is looked for")
		return
	}
	n.Type, n.Value = typeNames[first], one
	g.add(number, n)
	if typeNames[second] != "" {
		n.Type, n.Value = typeNames[second], other
		g.add(number, n)
	}
}

// otxIndicator is what is read of an indicator in a pulse.
type otxIndicator struct {
	Indicator   string          `json:"indicator"`
	Type        string          `json:"type"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Expiration  string          `json:"expiration"`
	Active      json.RawMessage `json:"is_active"` // 1, 0, true, false
}

// readOTX reads a pulse, or a page of them.
func readOTX(g *gatherer, content []byte) error {
	if !json.Valid(content) {
		return noJSON("OTX")
	}
	number := 0
	for pulse := range elements(member(content, "results")) {
		if number = g.addPulse(number, pulse); g.full {
			return nil
		}
	}
	if number = g.addPulse(number, content); number == 0 {
		return fault.New(fault.Unprocessable, "There is no indicator of OTX in the file")
	}
	return nil
}

// addPulse reads the indicators of a pulse, and returns the number of the last.
func (g *gatherer) addPulse(number int, text []byte) int {
	var pulse struct {
		Name string `json:"name"`
	}
	if text = bytes.TrimSpace(text); !decoded(text, &pulse) {
		g.problem(number+1, "it is no pulse of OTX")
		return number
	}
	var i otxIndicator
	for text := range elements(member(text, "indicators")) {
		number++
		i = otxIndicator{}
		if decoded(text, &i) {
			g.addOTX(number, pulse.Name, i)
		} else {
			g.problem(number, "it is no indicator of OTX")
		}
		if g.full {
			break
		}
	}
	return number
}

func (g *gatherer) addOTX(number int, pulse string, i otxIndicator) {
	if active := string(i.Active); active == "0" || active == "false" {
		g.parsed.Skipped++
		return
	}
	n := NewIndicator{Type: typeNames[strings.ToLower(i.Type)], Value: i.Indicator, ThreatName: pulse, Description: i.Description}
	if n.Type == "" {
		g.problem(number, quoted(i.Type)+" is no type that is looked for")
		return
	}
	n.Expires, _ = readTime(i.Expiration)
	if n.Description == "" {
		n.Description = i.Title
	}
	g.add(number, n)
}
