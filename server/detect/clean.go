package detect

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"muster/server/attack"
	"muster/server/condition"
	"muster/server/fault"
	"muster/server/sigma"
)

// Bounds of a rule.
const (
	maxName        = 255
	maxDescription = 64 << 10
	maxType        = 100
	maxWords       = 200 // techniques, tactics or alerters of a rule
	maxWord        = 255
	maxDocument    = 1 << 20 // conditions, recon queries, Sigma text
)

// clean brings a rule into the form in which it is stored, or says what is wrong
// with it. Faults: Invalid and Unprocessable.
func clean(r *Rule) error {
	r.Name, r.Type = strings.TrimSpace(r.Name), strings.TrimSpace(r.Type)
	switch {
	case r.Name == "":
		return fault.New(fault.Invalid, "The name of a rule must not be empty")
	case !fits(r.Name, maxName) || strings.ContainsAny(r.Name, "\r\n"):
		return fault.New(fault.Unprocessable, "The name of a rule has at most %d bytes of text, in one line", maxName)
	case !fits(r.Description, maxDescription):
		return fault.New(fault.Unprocessable, "The description of a rule has at most %d KiB of text", maxDescription>>10)
	case !fits(r.Type, maxType):
		return fault.New(fault.Unprocessable, "The type of a rule has at most %d bytes of text", maxType)
	case !fits(r.SigmaID, maxWord):
		return fault.New(fault.Unprocessable, "The id of a Sigma rule has at most %d bytes of text", maxWord)
	}
	if err := cleanWords(r); err != nil {
		return err
	}
	if r.Type == "" {
		r.Type = "DEFAULT"
		if len(r.TechniqueIDs) > 0 {
			r.Type = "MITRE"
		}
	}
	return cleanDocuments(r)
}

func cleanWords(r *Rule) (err error) {
	if r.Severity, err = oneOf("severity", r.Severity, Info, Severities()); err != nil {
		return err
	}
	if r.Status, err = oneOf("status", r.Status, Active, []string{Active, Inactive}); err != nil {
		return err
	}
	if r.TechniqueIDs, err = attack.ParseIDs(r.TechniqueIDs...); err != nil {
		return fault.New(fault.Invalid, "technique_id: %s", err)
	}
	if r.Tactics, err = words("tactics", r.Tactics); err != nil {
		return err
	}
	if len(r.Tactics) == 0 {
		r.Tactics, _ = words("tactics", attack.Tactics(r.TechniqueIDs))
	}
	if r.Alerters, err = words("alerters", r.Alerters); err != nil {
		return err
	}
	if !slices.Contains(r.Alerters, DebugAlerter) {
		r.Alerters = append(r.Alerters, DebugAlerter)
	}
	return nil
}

// oneOf is the word in its own writing, whatever its case; the fallback for none.
func oneOf(what, word, fallback string, known []string) (string, error) {
	word = strings.ToUpper(strings.TrimSpace(word))
	switch {
	case word == "":
		return fallback, nil
	case !slices.Contains(known, word):
		return "", fault.New(fault.Invalid, "The %s of a rule is one of %s", what, strings.Join(known, ", "))
	}
	return word, nil
}

// words are the words of a list, trimmed, each once; parts may hold several with
// commas between.
func words(what string, parts []string) ([]string, error) {
	list := []string{}
	for _, part := range parts {
		for word := range strings.SplitSeq(part, ",") {
			word = strings.TrimSpace(word)
			switch {
			case word == "" || slices.Contains(list, word):
				continue
			case !fits(word, maxWord):
				return nil, fault.New(fault.Unprocessable, "%s: a word has at most %d bytes of text", what, maxWord)
			case len(list) == maxWords:
				return nil, fault.New(fault.Unprocessable, "%s: there are more than %d", what, maxWords)
			}
			list = append(list, word)
		}
	}
	return list, nil
}

func fits(text string, most int) bool {
	return len(text) <= most && utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

func cleanDocuments(r *Rule) error {
	if len(bytes.TrimSpace(r.ReconQueries)) == 0 {
		r.ReconQueries = json.RawMessage("{}")
	}
	recon, err := compact("recon_queries", r.ReconQueries)
	if err != nil {
		return err
	}
	r.ReconQueries = recon
	if r.Source != "" {
		if !fits(r.Source, maxDocument) {
			return fault.New(fault.Unprocessable, "The Sigma text of a rule has at most %d KiB of UTF-8", maxDocument>>10)
		}
		return nil // whoever brings it has translated it
	}
	if r.Conditions, err = compact("conditions", r.Conditions); err != nil {
		return err
	}
	_, err = parseConditions(r.Conditions)
	return err
}

// compact is a JSON object without its white space.
func compact(what string, document json.RawMessage) (json.RawMessage, error) {
	var b bytes.Buffer
	if json.Compact(&b, document) != nil || !bytes.HasPrefix(b.Bytes(), []byte("{")) {
		return nil, fault.New(fault.Invalid, "%s must be a JSON object", what)
	}
	if b.Len() > maxDocument {
		return nil, fault.New(fault.Unprocessable, "%s: larger than %d KiB", what, maxDocument>>10)
	}
	return b.Bytes(), nil
}

// parseConditions reads conditions of a rule or an exception. Faults: those of
// condition.Parse, which name the place.
func parseConditions(document json.RawMessage) (*condition.Tree, error) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, fault.New(fault.Invalid, "conditions must be a JSON object")
	}
	return condition.Parse(object, sigma.ConditionOptions())
}

// canonical is a JSON object in one of its many forms; anything else as it is.
func canonical(document json.RawMessage) []byte {
	var value map[string]any
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return document
	}
	text, err := json.Marshal(value)
	if err != nil {
		return document
	}
	return text
}
