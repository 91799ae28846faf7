// Package indicator says what an indicator of compromise is: of which type, in
// which columns of osquery's rows it shows itself, and in which form two of them
// are compared.
//
// It writes no table. It does not know who looks for indicators or where.
package indicator

import "slices"

// Type is a kind of indicator, by the name that the API has for it.
type Type string

// kind is how values of a column are compared.
type kind int

const (
	text     kind = iota // trimmed, without regard to the case of ASCII letters
	endpoint             // a domain name or an address
)

// observed says in which columns a type shows itself. The first is the one of its
// own name; the others are columns of osquery's tables that hold the same thing
// whatever the table. (name is none of them: it names everything.)
var observed = []struct {
	name    Type
	kind    kind
	columns []string
}{
	{"md5", text, []string{"md5"}},
	{"sha1", text, []string{"sha1"}},
	{"sha256", text, []string{"sha256"}},
	{"ja3_md5", text, []string{"ja3_md5"}},
	{"domain_name", endpoint, []string{"domain_name", "hostname", "host", "dns_domain_name"}},
	{"remote_address", endpoint, []string{"remote_address", "address", "host", "ip_address", "destination_address"}},
	{"url", text, []string{"url", "source_url", "update_url"}},
	{"path", text, []string{
		"path", "target_path", "dest_path", "old_path", "source_path", "executable", "executable_path", "exe", "parent_path",
		"module_path", "script_path", "fragment_path", "shortcut_target_path", "filepath",
	}},
	{"process_guid", text, []string{"process_guid"}},
	{"parent_process_guid", text, []string{"parent_process_guid"}},
	{"target_path", text, []string{"target_path", "dest_path"}},
	{"target_name", text, []string{"target_name"}},
	{"process_name", text, []string{"process_name"}},
}

// kinds is the kind of every column; a column has the same in all types.
var kinds = func() map[string]kind {
	all := map[string]kind{}
	for _, o := range observed {
		for _, column := range o.columns {
			all[column] = o.kind
		}
	}
	return all
}()

// Types lists all types.
func Types() []Type {
	all := make([]Type, len(observed))
	for i, o := range observed {
		all[i] = o.name
	}
	return all
}

// Columns lists the columns in which indicators of the type are observed, the one
// of its own name first; none for an unknown type.
func (t Type) Columns() []string {
	for _, o := range observed {
		if o.name == t {
			return slices.Clone(o.columns)
		}
	}
	return nil
}

// Normalize returns the form in which an indicator of the type is compared, which
// is that of the values in all its columns. Empty: there is none.
func (t Type) Normalize(value string) string {
	for _, o := range observed {
		if o.name == t {
			return normalize(o.kind, value)
		}
	}
	return ""
}

// Columns lists every column in which an indicator of some type is observed, sorted.
func Columns() []string {
	all := make([]string, 0, len(kinds))
	for column := range kinds {
		all = append(all, column)
	}
	slices.Sort(all)
	return all
}

// Normalize returns the form in which a value of a column is compared: two values
// are the same indicator if they are the same text afterwards. Empty means that
// nothing was observed: the value is blank or the column is none of Columns.
func Normalize(column, value string) string {
	kind, found := kinds[column]
	if !found {
		return ""
	}
	return normalize(kind, value)
}
