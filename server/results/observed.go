package results

import (
	"context"
	"sync/atomic"
	"time"

	"muster/server/database"
)

// The size of a segment of the index, and when it is closed.
const (
	// segmentRows is about how many rows a segment covers: large enough that a hunt
	// looks at few of them, small enough that what is not in one yet can be read.
	segmentRows = 65_536
	// segmentPostings closes a segment of very wide rows earlier.
	segmentPostings = 1 << 20
	// observeLag is how old rows must be: by then every transaction of any replica
	// that could still add an older one has ended (see Options.CommitTimeout).
	observeLag = 2 * time.Minute
	// observeFor is how long one call of Observe works at most.
	observeFor = 10 * time.Minute
	// observedLock is the advisory lock under which replicas add segments.
	observedLock = 0x6d757374657202
)

// pending is the segment that is being gathered. It is kept from one call of
// Observe to the next, so that no row is read twice.
type pending struct {
	base    int64   // where the last segment ended when this one was begun
	cuts    int64   // of the observer, at that time
	at      stretch // from where it covers, and up to where it has been read
	builder *builder
	stride  stride
}

// observer is the one reader that makes segments in this process.
type observer struct {
	turn    chan struct{} // holds one while somebody observes
	rows    int           // of a segment
	pending *pending
	cuts    atomic.Int64 // how often a part of the log went: what was read before may be gone
}

// Observe brings the index of observed values up to date, as far as rows are old
// enough that none can still come before them: a segment is closed when it has
// its rows or its day (of UTC) is over. It works until nothing is left to do or
// its time is up, and may be cut off at any moment. One replica should call it
// every few seconds; more than one at once do no harm but the work twice.
//
// A hunt is right whether Observe keeps up or not: what is in no segment is read
// row by row.
func (s *Store) Observe(ctx context.Context) error {
	return s.observe(ctx, false)
}

// ObserveAll indexes everything that arrived before now, however young, and
// closes the last segment early. Nothing may be appending meanwhile. It is for
// measurements and tests: fill results (a received_at for every few thousand
// rows, as batches have, in order), make partitions for the days first on
// PostgreSQL, and call this once.
func (s *Store) ObserveAll(ctx context.Context) error {
	if s.db.Engine() == database.Postgres {
		// Of a table that was just filled the planner knows nothing, and reads all of it.
		if err := s.db.Write(ctx).Exec("ANALYZE results").Error; err != nil {
			return database.Fault(err)
		}
	}
	return s.observe(ctx, true)
}

func (s *Store) observe(ctx context.Context, all bool) error {
	select {
	case s.observer.turn <- struct{}{}:
		defer func() { <-s.observer.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.summarize(ctx)
	for until := time.Now().Add(observeFor); all || time.Now().Before(until); {
		horizon := s.horizon(all)
		p, err := s.resume(ctx, horizon)
		if err == nil && p != nil {
			err = s.gather(ctx, p, horizon)
		}
		if err != nil {
			s.observer.pending = nil
			return database.Fault(err)
		}
		if p == nil || !p.due(all) {
			return nil
		}
		if p.cuts != s.observer.cuts.Load() {
			continue
		}
		if err := s.seal(ctx, p); err != nil {
			s.observer.pending = nil
			return database.Fault(err)
		}
	}
	return nil
}

// horizon is the moment before which no row can arrive any more.
func (s *Store) horizon(all bool) int64 {
	now := s.o.Now()
	if all {
		return database.Micros(now)
	}
	return min(database.Micros(now.Add(-observeLag)), s.flights.oldest())
}

// resume returns the segment to go on with, or nil when there is nothing yet.
func (s *Store) resume(ctx context.Context, horizon int64) (*pending, error) {
	base, err := s.base(ctx)
	if err != nil {
		return nil, err
	}
	if p := s.observer.pending; p != nil && p.base == base && p.cuts == s.observer.cuts.Load() {
		return p, nil
	}
	from := base
	if from == 0 {
		if from, err = s.beginning(ctx); err != nil || from == 0 || from >= horizon {
			return nil, err
		}
	}
	p := &pending{base: base, cuts: s.observer.cuts.Load(), at: stretch{from, from}, builder: newBuilder(s.observer.rows), stride: stride{int64(time.Minute / time.Microsecond), max(s.observer.rows/4, 1)}}
	s.observer.pending = p
	return p, nil
}

// base is where the last segment ends, and lets no row arrive before. An index that
// covers what is still to come was made under a clock that has been set back: what
// arrives now would lie in it and never be found, so that part of it is forgotten.
func (s *Store) base(ctx context.Context) (int64, error) {
	to, err := s.sealedTo(ctx)
	if soon := database.Micros(s.o.Now().Add(ahead)); err == nil && to > soon {
		s.log.Warn("the clock was set back: the index of observed values is made anew from now on", "covered_to", database.FromMicros(to))
		s.observer.cuts.Add(1)
		if err := s.db.Write(ctx).Exec("DELETE FROM observed WHERE to_at > ?", soon).Error; err != nil {
			return 0, err
		}
		to, err = s.sealedTo(ctx)
	}
	if err == nil {
		s.flights.notBefore(to)
	}
	return to, err
}

// keepAfterIndex is for a process that starts under a clock that was set back, while
// none observes yet. It does without when the database does not answer.
func (s *Store) keepAfterIndex(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if to, err := s.sealedTo(ctx); err == nil && to <= database.Micros(s.o.Now().Add(ahead)) {
		s.flights.notBefore(to)
	}
}

// sealedTo is where the last segment ends; 0 without any.
func (s *Store) sealedTo(ctx context.Context) (int64, error) {
	var to int64
	err := s.db.Read(ctx).Raw("SELECT coalesce(max(to_at), 0) FROM observed").Scan(&to).Error
	return to, err
}

// beginning is a moment before which no row arrived; 0 when there are no rows.
// Ids follow arrival, if not to the second, and no index says which row is the
// oldest.
func (s *Store) beginning(ctx context.Context) (int64, error) {
	var at []int64
	err := s.db.Read(ctx).Raw("SELECT received_at FROM results ORDER BY id LIMIT 1").Scan(&at).Error
	if err != nil || len(at) == 0 {
		return 0, err
	}
	return max(dayStart(dayOf(database.FromMicros(at[0]))-1), 1), nil
}

// gather reads on until the segment is full, its day is over, or the horizon is
// reached. Days without rows are passed over.
func (s *Store) gather(ctx context.Context, p *pending, horizon int64) error {
	for p.at.to < horizon && !p.builder.full() {
		if p.builder.rows == 0 {
			p.at.from = p.at.to
		}
		end := min(p.dayEnd(), horizon)
		if p.at.to >= end {
			return nil
		}
		next := stretch{p.at.to, min(p.at.to+p.stride.micros, end)}
		length, mark := next.to-next.from, p.builder.mark()
		rows, err := s.eachStored(ctx, next, p.stride.limit(length), p.builder.add)
		if err != nil {
			return err
		}
		if p.stride.saw(length, rows) {
			p.at.to = next.to
		} else {
			p.builder.back(mark)
		}
	}
	return nil
}

// dayEnd is the end of the day that the segment is of.
func (p *pending) dayEnd() int64 { return dayStart(dayOf(database.FromMicros(p.at.from)) + 1) }

// due says whether the segment can be closed.
func (p *pending) due(all bool) bool {
	return p.builder.rows > 0 && (all || p.builder.full() || p.at.to == p.dayEnd())
}

// seal stores the segment, unless another replica was faster, and lets the next
// one begin where it ends.
func (s *Store) seal(ctx context.Context, p *pending) error {
	began := time.Now()
	sieveBlob, postings, err := p.builder.encode()
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		if tx.Engine() == database.Postgres {
			if err := tx.Write(ctx).Exec("SELECT pg_advisory_xact_lock(?)", int64(observedLock)).Error; err != nil {
				return err
			}
		}
		return tx.Write(ctx).Exec(`INSERT INTO observed (from_at, to_at, row_count, sieve, postings) SELECT ?, ?, ?, ?, ?
			WHERE NOT EXISTS (SELECT 1 FROM observed WHERE to_at > ?)`,
			p.builder.oldest, p.at.to, p.builder.rows, sieveBlob, postings, p.base).Error
	})
	if err != nil {
		return err
	}
	s.flights.notBefore(p.at.to)
	s.log.Debug("a segment of the index of observed values is stored", "rows", p.builder.rows, "postings", len(p.builder.postings),
		"sieve_bytes", len(sieveBlob), "postings_bytes", len(postings), "duration", time.Since(began))
	s.observer.pending = &pending{base: p.at.to, cuts: p.cuts, at: stretch{p.at.to, p.at.to}, builder: newBuilder(s.observer.rows), stride: p.stride}
	return nil
}

// forgetObserved drops the segments of what arrived before a moment that lies in
// none of them, such as the start of a day. Call it before the rows go, so that no
// hunt counts what is no longer there.
func (s *Store) forgetObserved(ctx context.Context, before int64) error {
	s.observer.cuts.Add(1)
	return s.db.Write(ctx).Exec("DELETE FROM observed WHERE to_at <= ?", before).Error
}
