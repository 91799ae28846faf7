package matcher

import (
	"cmp"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/gaissmai/bart"

	"muster/server/condition"
)

// index tells which signals a value of one field gives.
type index struct {
	field    int32
	any      bool // every column, not one field
	equal    map[string][]int32
	longest  int // of the texts of equal
	literals *automaton
	above    []bound // from the lowest
	below    []bound // from the highest
	networks *bart.Table[[]int32]
}

// bound is a signal for numbers on one side of another.
type bound struct {
	condition.Bound
	signal int32
}

// scan reports the signals of a value that is there.
func (x *index) scan(value string, st *state) {
	if x.equal != nil && len(value) <= x.longest {
		for _, s := range x.equal[st.fold(value)] {
			st.fire(s)
		}
	}
	if x.literals != nil {
		x.literals.scan(value, st)
	}
	if x.above != nil || x.below != nil {
		if number, ok := condition.ParseNumber(value); ok {
			x.compare(number, st)
		}
	}
	if x.networks != nil {
		if address, ok := condition.ParseAddress(value); ok {
			signals, _ := x.networks.Lookup(address)
			for _, s := range signals {
				st.fire(s)
			}
		}
	}
}

// compare looks at bounds for as long as the number is within them.
func (x *index) compare(number condition.Number, st *state) {
	for i := range x.above {
		order := number.Compare(x.above[i].Number)
		if order < 0 || order == 0 && !x.above[i].Inclusive {
			break
		}
		st.fire(x.above[i].signal)
	}
	for i := range x.below {
		order := number.Compare(x.below[i].Number)
		if order > 0 || order == 0 && !x.below[i].Inclusive {
			break
		}
		st.fire(x.below[i].signal)
	}
}

// fold returns the value with small letters, good until the next call.
func (st *state) fold(value string) string {
	st.folded = append(st.folded[:0], value...)
	for i, c := range st.folded {
		if 'A' <= c && c <= 'Z' {
			st.folded[i] = c + 'a' - 'A'
		}
	}
	return unsafe.String(unsafe.SliceData(st.folded), len(st.folded))
}

// draft is an index in the making.
type draft struct {
	index
	needs    []condition.Need // of literals
	signals  []int32          // beside needs
	prefixes []prefix
}

type prefix struct {
	netip.Prefix
	signal int32
}

// add puts in what a test can be found by.
func (d *draft) add(t condition.Test, signal int32) {
	if b, _, ok := t.Bound(); ok {
		if b.Above {
			d.above = append(d.above, bound{b, signal})
		} else {
			d.below = append(d.below, bound{b, signal})
		}
	}
	for _, p := range t.Networks() {
		d.prefixes = append(d.prefixes, prefix{p, signal})
	}
	needs, _ := t.Needs()
	for _, n := range needs {
		if n.Place != condition.Whole {
			d.needs, d.signals = append(d.needs, n), append(d.signals, signal)
			continue
		}
		if d.equal == nil {
			d.equal = map[string][]int32{}
		}
		d.equal[n.Text] = append(d.equal[n.Text], signal)
		d.longest = max(d.longest, len(n.Text))
	}
}

// finish makes the index ready, save for its literals.
func (d *draft) finish() {
	order := func(a, b bound) int {
		inclusive := 0 // at one number, what includes it comes first
		if a.Inclusive != b.Inclusive {
			inclusive = 1
			if a.Inclusive {
				inclusive = -1
			}
		}
		return cmp.Or(a.Number.Compare(b.Number), inclusive)
	}
	slices.SortFunc(d.above, order)
	slices.SortFunc(d.below, func(a, b bound) int {
		if n := b.Number.Compare(a.Number); n != 0 {
			return n
		}
		return order(a, b)
	})
	if d.prefixes == nil {
		return
	}
	// The longest network that has an address stands for those that it lies in.
	slices.SortStableFunc(d.prefixes, func(a, b prefix) int { return a.Bits() - b.Bits() })
	d.networks = &bart.Table[[]int32]{}
	for _, p := range d.prefixes {
		outer, _ := d.networks.LookupPrefix(p.Prefix)
		d.networks.Insert(p.Prefix, append(slices.Clone(outer), p.signal))
	}
}
