package agenttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// FleetOptions describes many agents.
type FleetOptions struct {
	// Options hold for every agent; Platform, Version and Seed are chosen for each.
	Options
	Count int
	// Platforms and Versions are shares, such as {Linux: 6, Windows: 3, Darwin: 1}.
	// Default: equal shares of every platform, and everyone on Version523.
	Platforms map[Platform]int
	Versions  map[Version]int
	// Ramp is the time over which agents start, evenly. Zero: all at once.
	Ramp time.Duration
}

// Fleet runs many agents in one process. Each has its own seed, counted from
// Options.Seed, and its own loops; databases, configs and equal rows are shared.
type Fleet struct {
	options FleetOptions
	agents  []*Agent
	latency latencies
	started atomic.Int64

	mu   sync.Mutex
	last FleetStats
	at   time.Time
}

// FleetStats is a fleet at one moment.
type FleetStats struct {
	Stats
	Agents, Started, Enrolled int
	// RequestRate and LineRate are per second since the Stats before.
	RequestRate, LineRate float64
}

// String is the summary for one line of a terminal.
func (s FleetStats) String() string {
	read, log := s.Endpoints[EndpointRead.String()], s.Endpoints[EndpointLog.String()]
	line := fmt.Sprintf("%d/%d enrolled · %.0f req/s · %d lines sent (%.0f/s), %d waiting · %d live answers (%d errors) · %d failures",
		s.Enrolled, s.Agents, s.RequestRate, s.LinesAccepted, s.LineRate, s.LinesBuffered, s.Answers, s.AnswerErrors, s.Failures)
	line += fmt.Sprintf(" · p99 read %s log %s", read.P99.Round(time.Millisecond), log.P99.Round(time.Millisecond))
	if s.Attacks > 0 {
		line += fmt.Sprintf(" · %d attacks", s.Attacks)
	}
	if s.ConfigWiped > 0 {
		line += fmt.Sprintf(" · CONFIG WIPED %d times", s.ConfigWiped)
	}
	return line
}

// NewFleet makes the agents. They send nothing before Run.
func NewFleet(o FleetOptions) (*Fleet, error) {
	if o.Count < 1 {
		return nil, errors.New("a fleet needs at least one agent")
	}
	if len(o.Platforms) == 0 {
		o.Platforms = map[Platform]int{Linux: 1, Darwin: 1, Windows: 1}
	}
	if len(o.Versions) == 0 {
		o.Versions = map[Version]int{Version523: 1}
	}
	f := &Fleet{options: o, at: time.Now()}
	platforms, versions := deal(o.Platforms), deal(o.Versions)
	for i := range o.Count {
		agent, err := New(f.optionsOf(i, platforms, versions))
		if err != nil {
			return nil, err
		}
		f.agents = append(f.agents, agent)
	}
	return f, nil
}

// optionsOf is one agent. Every other one compresses its logs, unless Flags say.
func (f *Fleet) optionsOf(i int, platforms []Platform, versions []Version) Options {
	o := f.options.Options
	o.Seed += int64(i)
	o.latency = &f.latency
	if len(platforms) > 0 {
		o.Platform = platforms[i%len(platforms)]
	}
	if len(versions) > 0 {
		o.Version = versions[i/max(len(platforms), 1)%len(versions)]
	}
	if _, set := o.Flags["logger_tls_compress"]; !set && i%2 == 1 {
		o.Flags = maps.Clone(o.Flags)
		if o.Flags == nil {
			o.Flags = map[string]string{}
		}
		o.Flags["logger_tls_compress"] = "true"
	}
	return o
}

// deal lays out shares as a sequence in which every kind recurs evenly.
func deal[T cmp.Ordered](shares map[T]int) []T {
	kinds := slices.Sorted(maps.Keys(shares))
	total := 0
	for _, n := range shares {
		total += max(n, 0)
	}
	var sequence []T
	dealt := map[T]int{}
	for len(sequence) < total {
		next := slices.MaxFunc(kinds, func(x, y T) int { // the one that lags most
			lag := func(k T) int { return shares[k]*(len(sequence)+1) - dealt[k]*total }
			return cmp.Compare(lag(x), lag(y))
		})
		dealt[next]++
		sequence = append(sequence, next)
	}
	return sequence
}

// Run is the life of the whole fleet: it returns when ctx has ended and every
// agent has stopped.
func (f *Fleet) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	clock := f.agents[0].clock
	pause := f.options.Ramp / time.Duration(len(f.agents))
	for _, agent := range f.agents {
		if ctx.Err() != nil {
			return nil
		}
		f.started.Add(1)
		running.Go(func() { _ = agent.Run(ctx) })
		if pause > 0 && clock.Sleep(ctx, pause) != nil {
			return nil
		}
	}
	<-ctx.Done()
	return nil
}

// Agents are the fleet's, in the order of their seeds.
func (f *Fleet) Agents() []*Agent { return f.agents }

// Stats sums up what the agents did.
func (f *Fleet) Stats() FleetStats {
	s := FleetStats{Stats: Stats{Endpoints: map[string]EndpointStats{}}, Agents: len(f.agents), Started: int(f.started.Load())}
	for _, agent := range f.agents {
		agent.count.addTo(&s.Stats)
		agent.mu.Lock()
		s.LinesBuffered += int64(agent.disk.Buffer.len())
		if agent.disk.NodeKey != "" {
			s.Enrolled++
		}
		agent.mu.Unlock()
	}
	f.latency.addTo(&s.Stats)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if seconds := now.Sub(f.at).Seconds(); seconds > 0 {
		s.RequestRate = float64(s.Requests-f.last.Requests) / seconds
		s.LineRate = float64(s.LinesAccepted-f.last.LinesAccepted) / seconds
	}
	f.last, f.at = s, now
	return s
}
