package condition

import (
	"slices"
	"strings"

	"muster/server/fault"
)

// Field is what a predicate looks at.
type Field struct {
	Name string
	Own  bool // of the entry itself, not a column
	// Any is the field "*": whatever column there is, but not own fields.
	Any bool
	// Path, unless it is empty, leads to a member inside the column, which is JSON:
	// EventData.Image. What is no JSON or has no such member is missing.
	Path     string
	template *template
}

// Computed reports whether the value is made from columns and is none itself.
func (f Field) Computed() bool { return f.Path != "" || f.template != nil }

// Key differs between fields that differ in meaning.
func (f Field) Key() string {
	switch {
	case f.Any:
		return "any"
	case f.template != nil:
		return "template " + f.template.key()
	case f.Own:
		return "own " + f.Name
	case f.Path != "":
		return "path " + f.Path + " " + f.Name
	}
	return "column " + f.Name
}

// display is the field's name for people.
func (f Field) display() string {
	if f.Path != "" {
		return f.Name + "." + f.Path
	}
	return f.Name
}

// anyColumn is the field that stands for whatever column there is.
const anyColumn = "*"

// field reads the keys field, path and template of a leaf, or of the value of an
// operator that compares fields.
func (p *parser) field(m map[string]any, path string) (Field, error) {
	name, err := text(m, path, "field")
	if err != nil {
		return Field{}, err
	}
	if !isName(name) {
		return Field{}, fault.New(fault.Unprocessable, "%sfield is no name of a column", path)
	}
	f := p.named(name)
	if _, given := m["path"]; given {
		if f.Path, err = text(m, path, "path"); err != nil {
			return f, err
		}
		if err := checkPath(f.Path, path); err != nil {
			return f, err
		}
	}
	_, templated := m["template"]
	switch {
	case f.Path != "" && (templated || name == anyColumn || f.Own):
		return f, fault.New(fault.Unprocessable, "%spath needs a field that is a column, and no template", path)
	case templated && name == anyColumn:
		return f, fault.New(fault.Unprocessable, "%stemplate does not go with the field *", path)
	case templated:
		written, err := text(m, path, "template")
		if err != nil {
			return f, err
		}
		f.Own = false
		f.template, err = p.template(written, path+"template")
		return f, err
	}
	f.Any = name == anyColumn && !f.Own
	return f, nil
}

// named is the column or the own field of that name.
func (p *parser) named(name string) Field {
	return Field{Name: name, Own: slices.Contains(p.own, name)}
}

func isName(name string) bool { return name != "" && len(name) <= maxName && storable(name) }

func checkPath(members, path string) error {
	if !isName(members) || strings.Count(members, ".") >= maxMembers {
		return fault.New(fault.Unprocessable, "%spath must be names with dots between them, at most %d", path, maxMembers)
	}
	for member := range strings.SplitSeq(members, ".") {
		if member == "" {
			return fault.New(fault.Unprocessable, "%spath has an empty name", path)
		}
	}
	return nil
}
