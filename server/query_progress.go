package main

import (
	"fmt"
	"time"
)

// progressLine is the last line of the standard error: written over on a
// terminal, written now and then into a file.
type progressLine struct {
	t     terminal
	shown string
	last  time.Time
	now   func() time.Time
}

// progressEvery is how often a file gets a line.
const progressEvery = 5 * time.Second

func newProgressLine(t terminal) *progressLine { return &progressLine{t: t, now: time.Now} }

// show replaces the line.
func (p *progressLine) show(text string) {
	switch {
	case p.t.rewrites:
		fmt.Fprintf(p.t.err, "\r\x1b[K%s", text)
		p.shown = text
	case text != p.shown && p.now().Sub(p.last) >= progressEvery:
		fmt.Fprintln(p.t.err, text)
		p.shown, p.last = text, p.now()
	}
}

// clear makes room for rows; the next show brings the line back.
func (p *progressLine) clear() {
	if p.t.rewrites && p.shown != "" {
		fmt.Fprint(p.t.err, "\r\x1b[K")
		p.shown = ""
	}
}

// note writes a line that stays, above the progress.
func (p *progressLine) note(text string) {
	shown := p.shown
	p.clear()
	fmt.Fprintln(p.t.err, text)
	if p.t.rewrites && shown != "" {
		p.show(shown)
	}
}

// finish leaves the last word.
func (p *progressLine) finish(text string) {
	p.clear()
	if p.t.rewrites || text != p.shown {
		fmt.Fprintln(p.t.err, text)
	}
}
