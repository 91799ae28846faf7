package condition

// empty is true of "" and of a field that is missing.
type empty struct{}

func (empty) match(_ *Object, value string, _ bool) bool { return value == "" }

func (empty) where(v operand) (fragment, bool) { return sql("coalesce({}, '') = ''", v.text()), true }

func (empty) key() string { return "empty" }

// missing is true of a field that is missing.
type missing struct{}

func (missing) match(_ *Object, _ string, present bool) bool { return !present }

func (missing) where(v operand) (fragment, bool) { return sql("{} IS NULL", v.text()), true }

func (missing) key() string { return "missing" }

// ascii is true of a value without a character beyond ASCII.
type ascii struct{}

func (ascii) match(_ *Object, value string, present bool) bool {
	for i := range len(value) {
		if value[i] >= 0x80 {
			return false
		}
	}
	return present
}

func (ascii) where(v operand) (fragment, bool) { return v.ascii(v.text()), true }

func (ascii) key() string { return "ascii" }

// valueless makes a predicate that looks at no value.
func valueless(p predicate) builder {
	return func(*parser, []value, string) (predicate, error) { return p, nil }
}
