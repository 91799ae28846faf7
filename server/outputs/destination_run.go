package outputs

import (
	"context"
	"strconv"
	"sync"
	"time"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/fault"
	"muster/server/jobs"
	"muster/server/results"
)

const (
	refreshEvery = 15 * time.Second
	// shift is how long a replica forwards to a destination before it asks for the
	// lease as if anew.
	shift = 24 * time.Hour
)

// Run forwards until ctx ends: to each active destination from the one replica that
// holds its lease. Destinations do not wait for each other, and nobody waits for them.
func (d *Destinations) Run(ctx context.Context) {
	serving := services{}
	bus.Follow(ctx, d.bus, refreshEvery, func() { d.refresh(ctx, serving) }, DestinationsTopic)
	for _, s := range serving { // they end with ctx
		<-s.ended
	}
}

// services are the destinations that this replica forwards to, or would.
type services map[int64]service

type service struct {
	version int64 // 0: it was stopped
	stop    context.CancelFunc
	ended   chan struct{} // closed
}

// refresh starts and stops services so that they are those of the table as it is now.
func (d *Destinations) refresh(ctx context.Context, serving services) {
	rows, err := d.rows(ctx, d.db, "WHERE active = 1")
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("destinations cannot be read, those known go on", "error", err)
		}
		return
	}
	wanted := map[int64]destinationRow{}
	for _, row := range rows {
		wanted[row.ID] = row
	}
	for id, s := range serving {
		if s.version != 0 && wanted[id].Version != s.version {
			s.stop()
			serving[id] = service{ended: s.ended}
		}
	}
	for id, row := range wanted {
		if s := serving[id]; s.version == 0 {
			serving[id] = d.serve(ctx, row, s.ended)
		}
	}
}

// serve forwards to a destination, as often as this replica gets its lease, after the
// service before it has ended (nil: there was none).
func (d *Destinations) serve(ctx context.Context, row destinationRow, before <-chan struct{}) service {
	ctx, stop := context.WithCancel(ctx)
	s := service{row.Version, stop, make(chan struct{})}
	go func() {
		defer close(s.ended)
		defer stop()
		if before != nil {
			<-before
		}
		d.runner.Every(ctx, jobs.Work{
			Name: "destination." + strconv.FormatInt(row.ID, 10), Interval: d.o.Takeover, Timeout: shift,
			Run: func(ctx context.Context) error { return d.forward(ctx, row) },
		})
	}()
	return s
}

// forwarding is one replica at work on one destination.
type forwarding struct {
	d        *Destinations
	row      destinationRow
	settings destinationSettings
	batching batching
	sender   sender
	streams  []*streaming
}

// streaming is one stream of it.
type streaming struct {
	cursor   cursorRow
	place    results.Place
	notUntil time.Time // after a failure, or while a batch fills
	failures int       // since the last success
}

// forward forwards to one destination until ctx ends, which is when it is changed, the
// lease is lost, or the server stops.
func (d *Destinations) forward(ctx context.Context, row destinationRow) error {
	hints, stop := d.subscribe(ctx)
	defer stop()
	f, err := d.newForwarding(ctx, row)
	if err != nil {
		return err
	}
	defer f.close()
	for ctx.Err() == nil {
		timer := time.NewTimer(f.round(ctx))
		select {
		case <-ctx.Done():
		case <-hints:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// subscribe returns a channel that receives after hints for any of the streams.
func (d *Destinations) subscribe(ctx context.Context) (hints <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	wake := make(chan struct{}, 1)
	var following sync.WaitGroup
	following.Go(func() {
		bus.Follow(ctx, d.bus, time.Hour, func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}, results.Topic, alerts.Topic)
	})
	return wake, func() { cancel(); following.Wait() }
}

// newForwarding reads the settings and how far the streams got.
func (d *Destinations) newForwarding(ctx context.Context, row destinationRow) (*forwarding, error) {
	cursors, err := readCursors(ctx, d.db, row.ID)
	if err != nil {
		return nil, err
	}
	f := &forwarding{d: d, row: row}
	for _, c := range cursors {
		f.streams = append(f.streams, &streaming{cursor: c, place: results.Place{ID: c.Position}})
	}
	if f.settings, err = d.openedSettings(row.Kind, row.Settings); err != nil {
		for _, s := range f.streams {
			f.note(ctx, s, fault.Public(err))
		}
		return nil, err
	}
	f.batching = f.settings.batching()
	if f.batching.rows == 0 {
		f.batching.rows = d.o.BatchRows
	}
	if f.batching.bytes == 0 {
		f.batching.bytes = d.o.BatchBytes
	}
	return f, nil
}

func (f *forwarding) close() {
	if f.sender != nil {
		f.sender.close()
		f.sender = nil
	}
}

// pendingWait is how soon to look again for rows that a running transaction holds up.
const pendingWait = 200 * time.Millisecond

// round hands over, batch by batch and stream after stream, everything that is there,
// and says how long to wait unless there is a hint.
func (f *forwarding) round(ctx context.Context) time.Duration {
	wait := f.d.o.Poll
	for again := true; again && ctx.Err() == nil; {
		again, wait = false, f.d.o.Poll
		for _, s := range f.streams {
			now := f.d.o.Now()
			if s.notUntil.After(now) {
				wait = min(wait, s.notUntil.Sub(now))
				continue
			}
			progressed, more := f.step(ctx, s)
			again = again || progressed && more
			if more && !progressed {
				wait = min(wait, pendingWait)
			}
			if s.notUntil.After(now) {
				wait = min(wait, s.notUntil.Sub(now))
			}
		}
	}
	return max(wait, time.Millisecond)
}
