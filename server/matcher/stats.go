package matcher

// Stats are the size of a program.
type Stats struct {
	Rules    int
	Always   int // rules without a trigger: they are evaluated for every event of their tables
	Groups   int
	Fields   int
	Tests    int // that differ
	Literals int // texts that the automata find
	States   int // of the automata
	Bytes    int // of their tables, which are most of what a program takes
}

// Stats returns the size of the program.
func (p *Program) Stats() Stats { return p.stats }

func (p *Program) measure() {
	s := Stats{Rules: len(p.starts), Groups: len(p.groups), Fields: len(p.fields), Tests: len(p.tests)}
	for _, g := range p.groups {
		s.Always += len(g.always)
		for _, x := range g.indexes {
			if a := x.literals; a != nil {
				s.Literals += len(a.hits) - 1
				s.States += len(a.table) / int(a.width)
				s.Bytes += 4 * len(a.table)
			}
		}
	}
	p.stats = s
}
