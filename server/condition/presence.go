package condition

// empty is true of "" and of a field that is missing.
type empty struct{}

func newEmpty([]value, string) (predicate, error) { return empty{}, nil }

func (empty) match(value string, _ bool) bool { return value == "" }

func (empty) where(v operand) (fragment, bool) { return sql("coalesce({}, '') = ''", v.text()), true }

// missing is true of a field that is missing.
type missing struct{}

func newMissing([]value, string) (predicate, error) { return missing{}, nil }

func (missing) match(_ string, present bool) bool { return !present }

func (missing) where(v operand) (fragment, bool) { return sql("{} IS NULL", v.text()), true }

// ascii is true of a value without a character beyond ASCII.
type ascii struct{}

func newASCII([]value, string) (predicate, error) { return ascii{}, nil }

func (ascii) match(value string, present bool) bool {
	for i := range len(value) {
		if value[i] >= 0x80 {
			return false
		}
	}
	return present
}

func (ascii) where(v operand) (fragment, bool) { return v.ascii(v.text()), true }
