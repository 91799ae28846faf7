package intel

import (
	"encoding/json"
	"strings"

	"muster/server/fault"
)

func noJSON(err error, what string) error {
	return fault.Wrap(err, fault.Unprocessable, "The file is no JSON of %s", what)
}

// mispEvent is what is read of an event.
type mispEvent struct {
	Info       string          `json:"info"`
	Level      json.RawMessage `json:"threat_level_id"` // a text or a number
	Attributes []mispAttribute `json:"Attribute"`
	Objects    []struct {
		Attributes []mispAttribute `json:"Attribute"`
		Deleted    bool            `json:"deleted"`
	} `json:"Object"`
}

type mispAttribute struct {
	Type    string `json:"type"`
	Value   string `json:"value"`
	Comment string `json:"comment"`
	IDs     bool   `json:"to_ids"`
	Deleted bool   `json:"deleted"`
}

type mispFile struct {
	Event *mispEvent `json:"Event"`
}

// readMISP reads an event, or several in a list or as an answer of MISP's.
func readMISP(g *gatherer, content []byte) error {
	var files []mispFile
	if strings.HasPrefix(strings.TrimSpace(string(content[:min(len(content), 100)])), "[") {
		if err := json.Unmarshal(content, &files); err != nil {
			return noJSON(err, "MISP")
		}
	} else {
		var file struct {
			mispFile
			Response []mispFile `json:"response"`
		}
		if err := json.Unmarshal(content, &file); err != nil {
			return noJSON(err, "MISP")
		}
		files = append(file.Response, file.mispFile)
	}
	number, events := 0, 0
	for _, file := range files {
		if file.Event == nil {
			continue
		}
		events++
		for _, a := range file.Event.Attributes {
			number++
			g.addMISP(number, file.Event, a)
		}
		for _, o := range file.Event.Objects {
			for _, a := range o.Attributes {
				number++
				a.Deleted = a.Deleted || o.Deleted
				g.addMISP(number, file.Event, a)
			}
		}
	}
	if events == 0 {
		return fault.New(fault.Unprocessable, "There is no event of MISP in the file")
	}
	return nil
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

// otxPulse is what is read of a pulse.
type otxPulse struct {
	Name       string `json:"name"`
	Indicators []struct {
		Indicator   string          `json:"indicator"`
		Type        string          `json:"type"`
		Title       string          `json:"title"`
		Description string          `json:"description"`
		Expiration  string          `json:"expiration"`
		Active      json.RawMessage `json:"is_active"` // 1, 0, true, false
	} `json:"indicators"`
}

// readOTX reads a pulse, or a page of them.
func readOTX(g *gatherer, content []byte) error {
	var file struct {
		otxPulse
		Results []otxPulse `json:"results"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return noJSON(err, "OTX")
	}
	number := 0
	for _, pulse := range append(file.Results, file.otxPulse) {
		for _, i := range pulse.Indicators {
			number++
			if active := string(i.Active); active == "0" || active == "false" {
				g.parsed.Skipped++
				continue
			}
			n := NewIndicator{Type: typeNames[strings.ToLower(i.Type)], Value: i.Indicator, ThreatName: pulse.Name, Description: i.Description}
			if n.Type == "" {
				g.problem(number, quoted(i.Type)+" is no type that is looked for")
				continue
			}
			n.Expires, _ = readTime(i.Expiration)
			if n.Description == "" {
				n.Description = i.Title
			}
			g.add(number, n)
		}
	}
	if number == 0 {
		return fault.New(fault.Unprocessable, "There is no indicator of OTX in the file")
	}
	return nil
}
