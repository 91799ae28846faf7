package lineage

import "slices"

// Bounds say how large a tree may become.
type Bounds struct {
	Ancestors int // above the process
	Depth     int // below it
	Children  int // of one process
	Nodes     int // in all, but for ancestors
	Events    int // of one process
	Rows      int // events in all
}

// Node is a process in a tree.
type Node struct {
	*Process
	Focus        bool // it is the process that was asked for
	Below        []*Node
	MoreChildren int // that are left out
	Did          []Event
	MoreEvents   int // that are left out
}

// Tree is what stands around a process: its ancestors up to the root, which is
// returned, its siblings, and what is below it. Of too many siblings those nearest in
// time stay, of too many children the first; near ones come before those further down.
// Only the process and what is below it has events.
func (f *Forest) Tree(p *Process, b Bounds) *Node {
	seen := map[*Process]bool{p: true}
	var ancestors []*Process
	for above := p.Parent; above != nil && !seen[above] && len(ancestors) < b.Ancestors; above = above.Parent {
		seen[above] = true
		ancestors = append(ancestors, above)
	}
	focus := &Node{Process: p, Focus: true}
	focus.grow(b, seen)
	top := focus
	for i, above := range ancestors {
		node := &Node{Process: above, Below: []*Node{top}, MoreEvents: len(above.Events)}
		if i == 0 {
			node.Below = beside(focus, above.Children, b.Children)
		}
		node.MoreChildren = len(above.Children) - len(node.Below)
		top = node
	}
	return top
}

// beside is a node among its siblings.
func beside(focus *Node, children []*Process, most int) []*Node {
	var nodes []*Node
	for _, sibling := range nearest(children, focus.Process, most) {
		node := &Node{Process: sibling, MoreChildren: len(sibling.Children), MoreEvents: len(sibling.Events)}
		if sibling == focus.Process {
			node = focus
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// grow adds what is below a node, level by level, but for what was seen.
func (n *Node) grow(b Bounds, seen map[*Process]bool) {
	left, rows := b.Nodes, b.Rows
	for level, depth := []*Node{n}, 0; len(level) > 0; depth++ {
		var next []*Node
		for _, node := range level {
			node.Did = node.Events[:min(len(node.Events), b.Events, rows)]
			rows -= len(node.Did)
			node.MoreEvents = len(node.Events) - len(node.Did)
			for _, child := range node.Children {
				if depth >= b.Depth || left == 0 || len(node.Below) == b.Children || seen[child] {
					continue
				}
				left--
				seen[child] = true
				node.Below = append(node.Below, &Node{Process: child})
			}
			node.MoreChildren = len(node.Children) - len(node.Below)
			next = append(next, node.Below...)
		}
		level = next
	}
}

// nearest is at most n of a list around one of its elements.
func nearest(list []*Process, p *Process, n int) []*Process {
	if len(list) <= n {
		return list
	}
	n = max(n, 1)
	from := min(max(slices.Index(list, p)-n/2, 0), len(list)-n)
	return list[from : from+n]
}
