package agenttest

import (
	"context"
	"errors"
	"net"
	"time"
)

// Chaos bends an agent. The zero value is a healthy one.
type Chaos struct {
	// LoseAnswer is the probability that a request is delivered and its answer
	// lost, as by a time-out: the client does not send it again by itself.
	LoseAnswer float64
	// DuplicateBatch is the probability that a log batch is posted twice, as by
	// the client's silent resend.
	DuplicateBatch float64
	// OldKeyAfterReenroll makes the first log batch after each re-enrolment
	// carry the key from before, as a request that was already on its way.
	OldKeyAfterReenroll bool
	// CloneOf is the seed of the machine whose hardware uuid and serial number
	// this one has. See Agent.CloneDisk for a copied database.
	CloneOf int64
	// ClockSkew is added to every time the agent reports.
	ClockSkew time.Duration
	// InvalidUTF8 puts bytes that are no UTF-8 into rows and backlog lines.
	InvalidUTF8 bool
	// GiantLine puts one result line with a value of so many bytes into the buffer.
	GiantLine int
	// Backlog is the number of result lines in the buffer at the first start.
	Backlog int
	// SlowLink limits what the agent sends, in bytes a second.
	SlowLink int
	// Crash says whether the agent's process dies at that step. It may be called
	// from several goroutines.
	Crash func(Step) bool
}

// Step is a point at which an agent may crash.
type Step string

// The steps, each with what a crash there costs.
const (
	StepEnrolled     Step = "enrolled"            // answered, key not yet kept
	StepConfigured   Step = "config fetched"      // answered, not yet applied
	StepScheduled    Step = "scheduled query"     // running: denylisted by name
	StepLogPosted    Step = "log answered"        // accepted, lines not yet deleted
	StepRead         Step = "distributed read"    // pending queries kept, none run
	StepDistributed  Step = "distributed query"   // running: denylisted by its SQL
	StepAnswered     Step = "distributed answers" // all run, none written
	StepCarveStarted Step = "carve started"       // session open, no block sent
	StepCarveBlock   Step = "carve block"         // after each block
)

// ErrCrashed comes back from a step in which Chaos.Crash struck. The agent does
// nothing more until Restart; Run restarts by itself, as a watchdog would.
var ErrCrashed = errors.New("agent crashed")

// crash ends the process when chaos wants it at this step.
func (a *Agent) crash(step Step) error {
	if a.opt.Chaos.Crash == nil || !a.opt.Chaos.Crash(step) {
		return nil
	}
	a.count.crashes.Add(1)
	a.lifeMu.Lock()
	defer a.lifeMu.Unlock()
	if a.life != nil {
		a.life.crashed = true
		a.life.cancel()
	}
	return ErrCrashed
}

// chance throws the agent's own dice.
func (a *Agent) chance(probability float64) bool {
	if probability <= 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dice.Float64() < probability
}

// slowConn sends no faster than rate bytes a second.
type slowConn struct {
	net.Conn
	ctx   context.Context
	clock Clock
	rate  int
}

func (c *slowConn) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		piece := p[sent:min(len(p), sent+max(c.rate/10, 1))]
		n, err := c.Conn.Write(piece)
		sent += n
		if err != nil {
			return sent, err
		}
		wait := time.Duration(n) * time.Second / time.Duration(c.rate)
		if err := c.clock.Sleep(c.ctx, wait); err != nil {
			return sent, err
		}
	}
	return sent, nil
}
