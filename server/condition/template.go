package condition

import (
	"strconv"
	"strings"

	"muster/server/fault"
)

// template is text with columns in it: "MD5={md5},SHA256={sha256}".
type template struct{ parts []part }

// part is literal text or, when it has a name, a field.
type part struct {
	literal string
	field   Field
}

// template reads one. A brace is written twice.
func (p *parser) template(written, path string) (*template, error) {
	if len(written) > maxText || !storable(written) {
		return nil, fault.New(fault.Unprocessable, "%s must be text of at most %d bytes", path, maxText)
	}
	t := &template{}
	var literal strings.Builder
	columns := 0
	for i := 0; i < len(written); i++ {
		switch c := written[i]; {
		case c != '{' && c != '}':
			literal.WriteByte(c)
		case i+1 < len(written) && written[i+1] == c:
			literal.WriteByte(c)
			i++
		case c == '}':
			return nil, fault.New(fault.Unprocessable, "%s has a } without a {: write }} for the brace itself", path)
		default:
			name, _, closed := strings.Cut(written[i+1:], "}")
			if !closed || !isName(name) {
				return nil, fault.New(fault.Unprocessable, "%s has a { that no name of a column and } follow: write {{ for the brace itself", path)
			}
			if columns++; columns > maxMembers {
				return nil, fault.New(fault.Unprocessable, "%s has more than %d columns", path, maxMembers)
			}
			t.parts = append(t.parts, part{literal: literal.String()}, part{field: p.named(name)})
			literal.Reset()
			i += len(name) + 1
		}
	}
	if columns == 0 {
		return nil, fault.New(fault.Unprocessable, "%s names no column", path)
	}
	t.parts = append(t.parts, part{literal: literal.String()})
	return t, nil
}

// fill returns the text for a row; it is missing when the row has nothing to put in.
func (t *template) fill(row *Object) (string, bool) {
	filled := false
	for _, p := range t.parts { // a value may be written to the row's scratch itself
		if p.field.Name != "" {
			text, _ := row.Value(p.field)
			filled = filled || text != ""
		}
	}
	if !filled {
		return "", false
	}
	start := row.room()
	for _, p := range t.parts {
		text := p.literal
		if p.field.Name != "" {
			text, _ = row.Value(p.field)
		}
		row.scratch = append(row.scratch, text...)
	}
	return asText(row.scratch[start:]), true
}

func (t *template) key() string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(strconv.Quote(p.literal) + strconv.FormatBool(p.field.Own) + strconv.Quote(p.field.Name))
	}
	return b.String()
}
