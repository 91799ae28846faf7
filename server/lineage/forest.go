package lineage

import (
	"cmp"
	"slices"
	"sort"
)

// Process is one process, from its beginning to its end. Do not modify it.
type Process struct {
	ID  string
	PID int64
	// Begun and Ended are seconds on the host's clock; 0: not in the rows.
	Begun, Ended        int64
	Path, Cmdline, User string

	Parent   *Process
	Children []*Process // by when they began
	Starts   []Event    // in which it began; none of a process that only others name
	Events   []Event    // what it did, and its end, by time
}

// Forest is what rows tell of the processes of one host.
type Forest struct {
	byID  map[string]*Process
	byPID map[int64][]*Process // those without an identifier of their own whose beginning is in the rows, by when
}

// Build makes trees of the events of one host, in any order. A parent that is known
// by its pid is the process of that pid that began last before the child and had not
// ended; where there is none, it is one whose beginning is not in the rows. The
// events of processes have Process and Parent filled in.
func Build(events []Event) *Forest {
	f := &Forest{byID: map[string]*Process{}, byPID: map[int64][]*Process{}}
	events = slices.Clone(events)
	for i := range events {
		events[i].order = i
	}
	slices.SortFunc(events, func(a, b Event) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.order, b.order)) })
	each := func(kind Kind, take func(Event)) {
		for _, e := range events {
			if e.Kind == kind {
				take(e)
			}
		}
	}
	each(Start, f.begin)
	var copies []Event
	each(Fork, func(e Event) {
		if !f.replaced(e) {
			e.Path, e.Cmdline = "", "" // those of its parent
			copies = append(copies, e)
		}
	})
	for _, e := range copies {
		f.begin(e)
	}
	f.sort()
	each(End, f.end)
	return f.grow(events)
}

// sort puts processes of one pid in order.
func (f *Forest) sort() {
	for _, list := range f.byPID {
		slices.SortStableFunc(list, func(a, b *Process) int { return cmp.Compare(a.Begun, b.Begun) })
	}
}

// idOf is the id of a process that an event begins.
func (e *Event) idOf() string {
	if e.Process != "" {
		return e.Process
	}
	return ID(e.PID, e.Time)
}

// begin notes that a process began, or became another program in the same second.
func (f *Forest) begin(e Event) {
	own := e.Process == ""
	e.Process = e.idOf()
	p := f.byID[e.Process]
	if p == nil {
		p = &Process{ID: e.Process, PID: e.PID, Begun: e.Time}
		f.byID[p.ID] = p
		if own {
			f.byPID[p.PID] = append(f.byPID[p.PID], p)
		}
	}
	p.Path, p.Cmdline, p.User = cmp.Or(e.Path, p.Path), cmp.Or(e.Cmdline, p.Cmdline), cmp.Or(e.User, p.User)
	p.Starts = append(p.Starts, e)
}

// forkedFor is how long after a fork the copy may become a program and still be
// taken for the same beginning, in seconds.
const forkedFor = 60

// replaced reports whether the copy that a fork made became a program soon: then
// that is its beginning. Only programs have begun so far, in the order of time.
func (f *Forest) replaced(e Event) bool {
	list := f.byPID[e.PID]
	next := sort.Search(len(list), func(i int) bool { return list[i].Begun >= e.Time })
	return next < len(list) && list[next].Begun-e.Time <= forkedFor
}

// end notes when a process ended.
func (f *Forest) end(e Event) {
	if p := f.Of(e); p != nil && p.Ended == 0 {
		p.Ended = e.Time
	}
}

// at is the process that had a pid at a moment; nil when its beginning is not in the
// rows.
func (f *Forest) at(pid, time int64) *Process {
	list := f.byPID[pid]
	next := sort.Search(len(list), func(i int) bool { return list[i].Begun > time })
	if next == 0 {
		return nil
	}
	if p := list[next-1]; p.Ended == 0 || p.Ended >= time {
		return p
	}
	return nil
}

// Find returns the process with an id; nil when the rows do not tell of it.
func (f *Forest) Find(id string) *Process { return f.byID[id] }

// Of returns the process that an event is about; nil when the rows of the forest do
// not tell of it.
func (f *Forest) Of(e Event) *Process {
	switch {
	case e.Process != "":
		return f.byID[e.Process]
	case e.Kind == Start || e.Kind == Fork:
		if p := f.byID[ID(e.PID, e.Time)]; p != nil {
			return p
		}
	}
	if p := f.at(e.PID, e.Time); p != nil {
		return p
	}
	return f.byID[ID(e.PID, 0)]
}

// grow ties children to parents and hands processes what they did.
func (f *Forest) grow(events []Event) *Forest {
	begun := make([]*Process, 0, len(f.byID))
	for _, p := range f.byID {
		begun = append(begun, p)
	}
	for _, p := range begun {
		f.adopt(p, p.Starts[0])
		for i := range p.Starts {
			p.Starts[i].Parent = parentID(p)
		}
	}
	for _, e := range events {
		if e.Kind == Other || e.Kind == End {
			f.note(e)
		}
	}
	for _, p := range f.byID {
		if p.Path == "" && p.Parent != nil {
			p.Path, p.Cmdline = p.Parent.Path, p.Parent.Cmdline
		}
		slices.SortFunc(p.Children, func(a, b *Process) int { return cmp.Or(cmp.Compare(a.Begun, b.Begun), cmp.Compare(a.ID, b.ID)) })
	}
	return f
}

func parentID(p *Process) string {
	if p.Parent == nil {
		return ""
	}
	return p.Parent.ID
}

// adopt gives a process the parent that an event names, if it names one.
func (f *Forest) adopt(p *Process, e Event) {
	var parent *Process
	switch {
	case e.Parent != "":
		parent = f.named(e.Parent, e.PPID)
	case e.PPID > 0 && e.PPID != p.PID:
		if parent = f.at(e.PPID, e.Time); parent == nil {
			parent = f.named(ID(e.PPID, 0), e.PPID)
		}
	}
	if parent == nil || parent == p {
		return
	}
	if len(parent.Starts) == 0 {
		parent.Path, parent.Cmdline = cmp.Or(parent.Path, e.ParentPath), cmp.Or(parent.Cmdline, e.ParentCmdline)
	}
	p.Parent, parent.Children = parent, append(parent.Children, p)
}

// named is the process with an id, though only others may tell of it.
func (f *Forest) named(id string, pid int64) *Process {
	p := f.byID[id]
	if p == nil {
		p = &Process{ID: id, PID: pid}
		f.byID[id] = p
	}
	return p
}

// note hands a process what it did.
func (f *Forest) note(e Event) {
	p := f.Of(e)
	if p == nil {
		id := e.Process
		if id == "" {
			id = ID(e.PID, 0)
		}
		p = f.named(id, e.PID)
	}
	if len(p.Starts) == 0 {
		p.Path, p.Cmdline, p.User, p.PID = cmp.Or(p.Path, e.Path), cmp.Or(p.Cmdline, e.Cmdline), cmp.Or(p.User, e.User), cmp.Or(p.PID, e.PID)
		if e.Kind == End {
			p.Ended = cmp.Or(p.Ended, e.Time)
		}
		if p.Parent == nil {
			f.adopt(p, e)
		}
	}
	e.Process, e.Parent = p.ID, parentID(p)
	p.Events = append(p.Events, e)
}
