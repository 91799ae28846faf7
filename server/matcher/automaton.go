package matcher

import (
	"cmp"
	"slices"
	"strings"

	"muster/server/condition"
)

// automaton finds all of its texts in one pass over a value: the Aho-Corasick
// automaton, with every transition in a dense table. Letters are folded by the
// table of classes. That a value starts and ends are two more letters, so that a
// text that has to stand at one end is found there and nowhere else.
type automaton struct {
	class [256]uint8
	width uint32 // of a row: the classes, begin and end, and where its hits are chained
	start uint32
	table []uint32 // rows; a transition is the offset of a row, and hit when that has hits
	hits  []chained
	first int // the number of hits[0] among those of all automata
}

// chained is a signal, and the next one that the same state reports.
type chained struct{ signal, next int32 }

const (
	hit     = 1 << 31
	other   = 0 // the class of bytes that are in no text
	begin   = 1
	end     = 2
	letters = 3 // the first class of a byte
)

// literal is a text to be found, and what is reported then.
type literal struct {
	text   string // after encode: classes
	signal int32
}

// newAutomaton returns nil when the table would have more than limit entries.
// Texts are those of condition.Need, cut to at most length bytes.
func newAutomaton(needs []condition.Need, signals []int32, length, limit int) *automaton {
	a := &automaton{}
	texts := make([]literal, len(needs))
	for i, n := range needs {
		text, _ := cut(n, length)
		n.Text = text
		texts[i] = literal{a.encode(n), signals[i]}
	}
	slices.SortFunc(texts, func(x, y literal) int {
		return cmp.Or(strings.Compare(x.text, y.text), cmp.Compare(x.signal, y.signal))
	})
	texts = slices.Compact(texts)
	last, ok := a.grow(texts, limit)
	if !ok {
		return nil
	}
	a.chain(texts, last)
	a.complete()
	a.start = a.table[begin] &^ hit
	return a
}

// cut shortens a text that need not be looked for as a whole.
func cut(n condition.Need, length int) (text string, whole bool) {
	switch {
	case len(n.Text) <= length:
		return n.Text, true
	case n.Place == condition.Start:
		return n.Text[:length], false
	}
	return n.Text[len(n.Text)-length:], false
}

// encode writes a text in classes, and gives its letters theirs.
func (a *automaton) encode(n condition.Need) string {
	out := make([]byte, 0, len(n.Text)+1)
	if n.Place == condition.Start {
		out = append(out, begin)
	}
	for i := range len(n.Text) {
		c := n.Text[i]
		if a.class[c] == other {
			a.class[c] = uint8(max(a.width, letters))
			a.width = uint32(a.class[c]) + 1
			if 'a' <= c && c <= 'z' {
				a.class[c-'a'+'A'] = a.class[c]
			}
		}
		out = append(out, a.class[c])
	}
	if n.Place == condition.End {
		out = append(out, end)
	}
	return string(out)
}

// grow makes the tree of the texts, level by level, so that the states that are
// seen most lie close together. It returns the state at which each text ends.
func (a *automaton) grow(texts []literal, limit int) (last []uint32, ok bool) {
	a.width++ // for the hits
	a.table = make([]uint32, a.width)
	last = make([]uint32, len(texts))
	for depth, growing := 0, true; growing; depth++ {
		growing = false
		for i, l := range texts {
			if depth >= len(l.text) {
				continue
			}
			growing = true
			at := last[i] + uint32(l.text[depth])
			if a.table[at] == 0 {
				if len(a.table)+int(a.width) > limit {
					return nil, false
				}
				a.table[at] = uint32(len(a.table))
				a.table = append(a.table, make([]uint32, a.width)...)
			}
			last[i] = a.table[at]
		}
	}
	return last, true
}

// chain hangs the signals on the states. Chains are numbered from 1.
func (a *automaton) chain(texts []literal, last []uint32) {
	a.hits = make([]chained, 1, len(texts)+1)
	for i, l := range texts {
		head := &a.table[last[i]+a.width-1]
		a.hits = append(a.hits, chained{l.signal, int32(*head)})
		*head = uint32(len(a.hits) - 1)
	}
}

// complete fills in where each state goes with the letters that it has no branch
// for: to where its longest end that is a state itself goes. States stand in the
// order of their depth, so all that are less deep are complete before.
func (a *automaton) complete() {
	classes := a.width - 1
	ends := make([]uint32, len(a.table)/int(a.width)) // by state: its longest end
	for at := uint32(0); int(at) < len(a.table); at += a.width {
		back := ends[at/a.width]
		for c := range classes {
			to := &a.table[at+c]
			fallback := uint32(0)
			if at != 0 {
				fallback = a.table[back+c]
			}
			if *to == 0 {
				*to = fallback
				continue
			}
			ends[*to/a.width] = fallback &^ hit
			if a.follow(*to, fallback&^hit) {
				*to |= hit
			}
		}
	}
}

// follow continues the chain of a state with that of its longest end, which has
// its own texts and those of its ends already. It reports whether there are any.
func (a *automaton) follow(at, back uint32) bool {
	head, rest := &a.table[at+a.width-1], a.table[back+a.width-1]
	if *head == 0 {
		*head = rest
		return rest != 0
	}
	i := *head
	for a.hits[i].next != 0 {
		i = uint32(a.hits[i].next)
	}
	a.hits[i].next = int32(rest)
	return true
}

// scan reports what is in the value.
func (a *automaton) scan(value string, st *state) {
	at := a.start
	for i := range len(value) {
		at = a.table[at+uint32(a.class[value[i]])]
		if at&hit != 0 {
			at &^= hit
			a.report(at, st)
		}
	}
	if at = a.table[at+end]; at&hit != 0 {
		a.report(at&^hit, st)
	}
}

// report fires the signals of a state, once for an event: a long value may come
// through it again and again.
func (a *automaton) report(at uint32, st *state) {
	i := a.table[at+a.width-1]
	reported := &st.reported[a.first+int(i)]
	if *reported == st.epoch {
		return
	}
	*reported = st.epoch
	for i != 0 {
		h := &a.hits[i]
		st.fire(h.signal)
		i = uint32(h.next)
	}
}
