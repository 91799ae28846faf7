package agenttest

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Endpoint is one thing an agent posts to.
type Endpoint int

// The endpoints.
const (
	EndpointEnroll Endpoint = iota
	EndpointConfig
	EndpointLog
	EndpointRead
	EndpointWrite
	EndpointCarveStart
	EndpointCarveBlock
	EndpointYARA
	endpoints
)

func (e Endpoint) String() string {
	return [...]string{"enroll", "config", "log", "distributed_read", "distributed_write", "carve_start", "carve_block", "yara"}[e]
}

// EndpointStats counts the requests of one endpoint.
type EndpointStats struct {
	Requests, Failures int64
	// P50 and P99 are latencies from dial to the end of the answer, to about a
	// fifth. For an agent of a fleet they are those of the whole fleet.
	P50, P99 time.Duration
}

// Stats is what an agent, or a fleet, has done so far.
type Stats struct {
	Requests   int64 // sent, resends included
	Failures   int64 // calls that an agent counts as failed
	Handshakes int64 // TLS connections made
	BytesSent  int64 // request bodies

	Enrolls   int64 // node keys received
	Reenrolls int64 // of those, not the first
	Keyless   int64 // starts given up because no key could be had (exit code 78)
	Cleared   int64 // node_invalid obeyed

	ConfigsApplied, ConfigsUnchanged int64
	// ConfigWiped counts configs that left the agent without its schedule: an
	// object that is no config, or one the agent refuses. A good server keeps it 0.
	ConfigWiped int64
	// Undefined counts answers whose root is no JSON object, on which real
	// agents behave in undefined ways. A good server keeps it 0.
	Undefined int64

	LinesAccepted int64 // deleted because the server took them
	LinesDropped  int64 // above logger_tls_max_linesize
	LinesPurged   int64 // above buffered_log_max
	LinesBuffered int64 // now

	Answers      int64 // live queries answered and delivered
	AnswerErrors int64 // of those, with a status other than 0
	CarvesDone   int64
	CarvesFailed int64
	Attacks      int64 // scenarios logged
	Crashes      int64
	Restarts     int64

	Endpoints map[string]EndpointStats // by Endpoint.String
}

// counters are the moving parts of Stats.
type counters struct {
	requests, failures        [endpoints]atomic.Int64
	handshakes, bytes         atomic.Int64
	enrolls, keyless, cleared atomic.Int64
	applied, unchanged, wiped atomic.Int64
	undefined                 atomic.Int64
	accepted, dropped, purged atomic.Int64
	answers, answerErrors     atomic.Int64
	carvesDone, carvesFailed  atomic.Int64
	attacks                   atomic.Int64
	crashes, restarts         atomic.Int64
}

// addTo adds what was counted to s. Reenrolls are per agent, so the sum is right.
func (c *counters) addTo(s *Stats) {
	for e := range endpoints {
		sum := s.Endpoints[e.String()]
		sum.Requests += c.requests[e].Load()
		sum.Failures += c.failures[e].Load()
		s.Requests += c.requests[e].Load()
		s.Failures += c.failures[e].Load()
		s.Endpoints[e.String()] = sum
	}
	s.Handshakes += c.handshakes.Load()
	s.BytesSent += c.bytes.Load()
	s.Enrolls += c.enrolls.Load()
	s.Reenrolls += max(c.enrolls.Load()-1, 0)
	s.Keyless += c.keyless.Load()
	s.Cleared += c.cleared.Load()
	s.ConfigsApplied += c.applied.Load()
	s.ConfigsUnchanged += c.unchanged.Load()
	s.ConfigWiped += c.wiped.Load()
	s.Undefined += c.undefined.Load()
	s.LinesAccepted += c.accepted.Load()
	s.LinesDropped += c.dropped.Load()
	s.LinesPurged += c.purged.Load()
	s.Answers += c.answers.Load()
	s.AnswerErrors += c.answerErrors.Load()
	s.CarvesDone += c.carvesDone.Load()
	s.CarvesFailed += c.carvesFailed.Load()
	s.Attacks += c.attacks.Load()
	s.Crashes += c.crashes.Load()
	s.Restarts += c.restarts.Load()
}

// latencies is a histogram for each endpoint, four buckets to the octave.
type latencies [endpoints][128]atomic.Uint32

func (l *latencies) observe(e Endpoint, d time.Duration) {
	us := uint64(max(d.Microseconds(), 4))
	octave := bits.Len64(us)
	quarter := us >> (octave - 3) & 3
	l[e][min(octave*4+int(quarter), 127)].Add(1)
}

func (l *latencies) addTo(s *Stats) {
	for e := range endpoints {
		sum := s.Endpoints[e.String()]
		sum.P50, sum.P99 = l.quantile(e, 0.50), l.quantile(e, 0.99)
		s.Endpoints[e.String()] = sum
	}
}

// quantile is the upper bound of the bucket that holds it.
func (l *latencies) quantile(e Endpoint, q float64) time.Duration {
	var total uint64
	for i := range l[e] {
		total += uint64(l[e][i].Load())
	}
	if total == 0 {
		return 0
	}
	rank, seen := uint64(q*float64(total-1)), uint64(0)
	for i := range l[e] {
		seen += uint64(l[e][i].Load())
		if seen > rank {
			octave, quarter := i/4, uint64(i%4)
			return time.Duration((quarter+5)<<(octave-3)) * time.Microsecond
		}
	}
	return 0
}
