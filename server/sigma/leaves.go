package sigma

import (
	"encoding/json"
	"slices"

	"muster/server/condition"
)

// writer makes the leaves of an item: one for each operator, with the list of values.
type writer struct {
	target  *target
	item    *item
	column  column
	open    []*opened
	lacking string // a field that is referred to and is not there
	count   int    // leaves
}

// opened is a leaf that values are added to.
type opened struct {
	operator string
	values   []any
	known    map[any]bool
}

// write returns the rule that the item stands for, without neq.
func (w *writer) write() (rule map[string]any, lacking string) {
	var all []any
	for i, v := range w.item.values {
		for _, t := range v {
			w.term(t)
		}
		if w.item.all || i == len(w.item.values)-1 {
			all = append(all, w.close())
		}
	}
	return grouped("AND", all), w.lacking
}

func (w *writer) term(t term) {
	switch t.kind {
	case matches:
		for _, like := range w.column.written(t.like) {
			w.matches(like)
		}
	case fits:
		w.add("matches_regex", t.text)
	case within:
		w.add("in_network", t.text)
	case compares:
		w.alone(t.word, json.Number(t.text))
	case empty:
		w.alone("is_empty", nil)
	case present:
		w.alone("is_not_null", nil)
	case absent:
		w.alone("is_null", nil)
	case refers:
		w.refers(t)
	}
}

func (w *writer) matches(like pattern) {
	operator, text := like.operator()
	switch {
	case operator != "is_not_null":
		w.add(operator+w.form(), text)
	case w.item.field == "":
		w.add("matches_wildcard", "*")
	default:
		w.alone(operator, nil)
	}
}

func (w *writer) form() string {
	if w.item.cased {
		return "_cased"
	}
	return ""
}

func (w *writer) refers(t term) {
	other, known := w.target.column(t.text)
	if !known || other.Constant != nil {
		w.lacking = t.text
		return
	}
	operator := map[string]string{"": "equal", contains: "contains", startswith: "begins_with", endswith: "ends_with"}[t.word]
	w.alone(operator+"_field"+w.form(), other.reference(t.text))
}

// add adds a value to the leaf of an operator that takes several.
func (w *writer) add(operator, text string) {
	at := slices.IndexFunc(w.open, func(o *opened) bool { return o.operator == operator && o.known != nil })
	if at < 0 {
		at = len(w.open)
		w.open = append(w.open, &opened{operator: operator, known: map[any]bool{}})
	}
	if o := w.open[at]; !o.known[text] {
		o.known[text] = true
		o.values = append(o.values, text)
	}
}

// alone adds a leaf with one value, or none when it is nil.
func (w *writer) alone(operator string, v any) {
	o := &opened{operator: operator}
	if v != nil {
		o.values = []any{v}
	}
	w.open = append(w.open, o)
}

// close returns the rule that one of the open leaves holds, and starts anew.
func (w *writer) close() map[string]any {
	var rules []any
	for _, o := range w.open {
		rules = append(rules, w.leaf(o))
	}
	w.open = nil
	w.count += len(rules)
	return grouped("OR", rules)
}

// lists are the operators that have another word for several values.
var lists = map[string]string{"equal": "in", "equal_cased": "in_cased"}

func (w *writer) leaf(o *opened) map[string]any {
	var given any
	switch len(o.values) {
	case 0:
	case 1:
		given = o.values[0]
	default:
		given = o.values
		if word := lists[o.operator]; word != "" {
			o.operator = word
		}
	}
	leaf := w.column.leaf(w.item.field)
	leaf["operator"] = o.operator
	name, direct := leaf["field"].(string), w.column.Path == "" && w.column.Template == ""
	if direct && (name == "column" || slices.Contains(own, name)) {
		// Conditions have a form for columns whose name stands for something else.
		leaf["field"] = "column"
		if given = []any{name, given}; len(o.values) == 0 {
			given = []any{name}
		}
	}
	if given != nil {
		leaf["value"] = given
	}
	return leaf
}

// constantField is the field of conditions that are decided here.
const constantField = "constant"

// decide reports whether conditions on constantField hold for a value.
func decide(rule map[string]any, constant string) (bool, error) {
	tree, err := condition.Parse(map[string]any{"condition": "AND", "rules": []any{rule}}, ConditionOptions())
	if err != nil {
		return false, err
	}
	columns, err := json.Marshal(map[string]string{constantField: constant})
	if err != nil {
		return false, err
	}
	var row condition.Object
	if err := row.Load(string(columns)); err != nil {
		return false, err
	}
	return tree.Match(&row), nil
}
