package agenttest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrKilled comes back from Run when Kill ended it.
var ErrKilled = errors.New("agent killed")

// life is one process of the agent.
type life struct {
	ctx     context.Context
	cancel  context.CancelFunc
	steps   sync.WaitGroup
	crashed bool
}

// begin starts a process over the disk that is there. A restart that nobody asked
// for does not bring back an agent that was killed meanwhile.
func (a *Agent) begin(asked bool) bool {
	a.mu.Lock()
	a.mem = newMemory(a.now())
	if a.flags.bool("enroll_always") {
		a.disk.NodeKey = ""
	}
	a.mu.Unlock()
	a.flags.forget()
	a.preload()
	a.afterCrash()
	ctx, cancel := context.WithCancel(context.Background())
	a.lifeMu.Lock()
	defer a.lifeMu.Unlock()
	if a.killed && !asked {
		cancel()
		return false
	}
	a.killed = false
	a.life = &life{ctx: ctx, cancel: cancel}
	return true
}

// enter ties a step to the process: its context ends with the process, and Kill
// waits until it has left.
func (a *Agent) enter(ctx context.Context) (context.Context, func(), error) {
	a.lifeMu.Lock()
	defer a.lifeMu.Unlock()
	l := a.life
	if l == nil || l.ctx.Err() != nil {
		return nil, nil, errDead
	}
	l.steps.Add(1)
	bound, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	return bound, func() {
		stop()
		cancel()
		l.steps.Done()
	}, nil
}

// Kill ends the process as SIGKILL does: requests on their way break off, and
// what was in memory only is gone. The agent is dead until Restart.
func (a *Agent) Kill() { a.end(true) }

func (a *Agent) end(killed bool) {
	a.lifeMu.Lock()
	l := a.life
	a.life = nil
	a.killed = a.killed || killed
	a.lifeMu.Unlock()
	if l == nil {
		return
	}
	l.cancel()
	l.steps.Wait()
	a.net.hangUp()
}

// Restart starts a new process over the state that the last one left. Call Run
// again for its loops.
func (a *Agent) Restart() {
	a.end(false)
	a.count.restarts.Add(1)
	a.begin(true)
}

// Run is the agent's life: enrol, fetch the config, then the loops. It returns nil
// when ctx ends and ErrKilled after Kill. A crash made by chaos and a start
// without a key are followed by a restart, as a service manager would.
func (a *Agent) Run(ctx context.Context) error {
	for {
		err := a.runOnce(ctx)
		if ctx.Err() != nil {
			a.net.hangUp()
			return nil
		}
		if errors.Is(err, ErrKilled) {
			return err
		}
		if a.clock.Sleep(ctx, a.opt.Intervals.Restart) != nil {
			return nil
		}
		a.end(false)
		a.count.restarts.Add(1)
		if !a.begin(false) {
			return ErrKilled
		}
	}
}

// runOnce is one process, in osquery's order of starting (section 12.1).
func (a *Agent) runOnce(ctx context.Context) error {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return ErrKilled
	}
	_ = a.FetchConfig(ctx)
	if a.NodeKey() == "" && ctx.Err() == nil {
		if err := a.Enroll(ctx); errors.Is(err, ErrNoKey) {
			a.count.keyless.Add(1)
			leave()
			return err // osqueryd exits with code 78
		}
	}
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){a.configLoop, a.logLoop, a.distributedLoop, a.scheduleLoop, a.carveLoop, a.attackLoop} {
		loops.Go(func() { loop(ctx) })
	}
	loops.Wait()
	leave()
	return a.howItEnded()
}

func (a *Agent) howItEnded() error {
	a.lifeMu.Lock()
	defer a.lifeMu.Unlock()
	if a.life != nil && a.life.crashed {
		return ErrCrashed
	}
	return ErrKilled
}

// configLoop refreshes the config. After a failure it waits the accelerated
// refresh, even where that is longer (section 2.2).
func (a *Agent) configLoop(ctx context.Context) {
	failed := a.currentConfig() == nil
	for {
		wait := a.flags.seconds("config_refresh")
		if failed && wait > 0 {
			wait = a.flags.seconds("config_accelerated_refresh")
		}
		if a.opt.Intervals.Config > 0 {
			wait = a.opt.Intervals.Config
		}
		if wait <= 0 { // never again
			<-ctx.Done()
			return
		}
		if a.clock.Sleep(ctx, wait) != nil {
			return
		}
		failed = a.FetchConfig(ctx) != nil
	}
}

// logLoop flushes at once what an earlier process left, then each period.
func (a *Agent) logLoop(ctx context.Context) {
	for ctx.Err() == nil {
		_ = a.FlushLogs(ctx)
		if a.clock.Sleep(ctx, a.logWait()) != nil {
			return
		}
		a.relay(relayPeriod)
	}
}

// distributedLoop reads at once, then each interval, or each 5 s while accelerated.
func (a *Agent) distributedLoop(ctx context.Context) {
	if a.flags.bool("disable_distributed") {
		return
	}
	for ctx.Err() == nil {
		_ = a.PollDistributed(ctx)
		if a.clock.Sleep(ctx, a.distributedWait()) != nil {
			return
		}
	}
}

func (a *Agent) distributedWait() time.Duration {
	wait := max(a.flags.seconds("distributed_interval"), time.Second)
	if a.opt.Intervals.Distributed > 0 {
		wait = a.opt.Intervals.Distributed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.disk.Accelerate > a.now().Unix() {
		return min(wait, acceleratedWait)
	}
	return wait
}

// carveLoop starts what was asked for on the grid of a minute.
func (a *Agent) carveLoop(ctx context.Context) {
	grid := a.opt.Intervals.Carve
	if grid <= 0 {
		grid = time.Minute
	}
	a.mu.Lock()
	wake := a.mem.carveWake
	if slices.ContainsFunc(a.disk.Carves, func(c *carving) bool { return c.Status == carveScheduled }) {
		a.wakeCarver() // an earlier process was asked
	}
	a.mu.Unlock()
	for {
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
		now := a.now()
		if a.clock.Sleep(ctx, now.Truncate(grid).Add(grid).Sub(now)) != nil {
			return
		}
		_ = a.RunCarves(ctx)
	}
}
