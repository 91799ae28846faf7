package outputs

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/results"
)

// step hands over one batch of a stream. progressed: the stream is further than it
// was. more: there are rows that it has not read.
func (f *forwarding) step(ctx context.Context, s *streaming) (progressed, more bool) {
	got, err := f.next(ctx, s)
	if err != nil {
		f.failed(ctx, s, err, false)
		return false, false
	}
	if got.next.ID == s.place.ID || f.linger(s, got) {
		return false, got.more
	}
	if len(got.rows) > 0 {
		ready, err := f.prepare(ctx, s, got)
		if err != nil {
			f.failed(ctx, s, err, false)
			return false, false
		}
		if err := f.send(ctx, ready); err != nil {
			f.failed(ctx, s, err, true)
			return false, false
		}
	}
	return f.advance(ctx, s, got), got.more
}

// next reads the next batch. One that was under way when it failed, or when another
// replica had it, is read as it was, for receivers that know it again by its ids.
func (f *forwarding) next(ctx context.Context, s *streaming) (fetched, error) {
	most := results.FollowLimit{Rows: f.batching.rows, Bytes: f.batching.bytes}
	got, err := f.d.fetch(ctx, s.cursor.Stream, s.place, most)
	if err != nil || !f.batching.repeats || s.cursor.Sending <= s.place.ID {
		return got, err
	}
	for len(got.rows) > 0 && got.rows[len(got.rows)-1].id > s.cursor.Sending {
		got.rows = got.rows[:len(got.rows)-1]
	}
	if got.next.ID > s.cursor.Sending {
		got.next, got.more = results.Place{ID: s.cursor.Sending, At: got.next.At}, true
	}
	return got, nil
}

// linger reports whether a batch waits for more rows.
func (f *forwarding) linger(s *streaming, got fetched) bool {
	if f.batching.linger == 0 || len(got.rows) == 0 || got.full || s.cursor.Sending > s.place.ID {
		return false
	}
	due := got.rows[0].at.Add(f.batching.linger)
	if !due.After(f.d.o.Now()) {
		return false
	}
	s.notUntil = due
	return true
}

// prepare makes a batch of rows, and notes what it is about to be where repeats matter.
func (f *forwarding) prepare(ctx context.Context, s *streaming, got fetched) (batch, error) {
	lines, err := f.d.lines(ctx, got.rows, f.row.Format, f.batching.maxLine)
	if err != nil {
		return batch{}, err
	}
	if f.batching.repeats && s.cursor.Sending != got.next.ID {
		s.cursor.Sending = got.next.ID
		if ours, err := f.d.save(ctx, s.cursor, s.place.ID); err != nil || !ours {
			return batch{}, errors.Join(err, errMoved(ours))
		}
	}
	return batch{destination: f.row.Name, stream: s.cursor.Stream, first: s.place.ID + 1, last: got.next.ID, lines: lines}, nil
}

// send returns when the receiver has acknowledged a batch.
func (f *forwarding) send(ctx context.Context, b batch) (err error) {
	if f.sender == nil {
		if f.sender, err = f.settings.open(f.d.o); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.d.o.SendTimeout)
	defer cancel()
	return guardedSend(ctx, f.sender, b)
}

// errMoved is for a cursor that somebody moved: the destination starts anew soon.
func errMoved(ours bool) error {
	if ours {
		return nil
	}
	return fault.New(fault.Busy, "The destination was changed meanwhile")
}

// guardedSend makes an error of a panic in a library: it must not end the lease.
func guardedSend(ctx context.Context, s sender, b batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(errors.New(string(debug.Stack())), fault.Internal, "Sending failed within the server, see its log")
		}
	}()
	return s.send(ctx, b)
}

// advance stores that rows were taken, and reports whether the stream goes on from
// there.
func (f *forwarding) advance(ctx context.Context, s *streaming, got fetched) bool {
	c := s.cursor
	c.Position, c.Missed, c.FailingSince, c.LastError = got.next.ID, c.Missed+got.missed, 0, ""
	if len(got.rows) > 0 {
		c.Delivered, c.DeliveredAt = c.Delivered+int64(len(got.rows)), database.Micros(f.d.o.Now())
	}
	ours, err := f.d.save(ctx, c, s.place.ID)
	if err != nil || !ours {
		f.failed(ctx, s, errors.Join(err, errMoved(ours)), false)
		return false
	}
	if got.missed > 0 {
		f.d.log.Warn("rows were deleted before a destination took them", "destination", f.row.Name, "stream", c.Stream, "rows", got.missed)
	}
	if s.failures > 0 {
		f.d.log.Info("a destination takes rows again", "destination", f.row.Name, "stream", c.Stream, "failures", s.failures)
	}
	s.cursor, s.place, s.failures, s.notUntil = c, got.next, 0, time.Time{}
	return true
}

// failed puts a stream off, longer each time. theirs: it is the receiver's failure, and
// worth showing.
func (f *forwarding) failed(ctx context.Context, s *streaming, err error, theirs bool) {
	if ctx.Err() != nil {
		return
	}
	s.failures++
	wait := f.d.o.RetryMax
	if s.failures < 20 {
		wait = min(f.d.o.RetryMin<<(s.failures-1), f.d.o.RetryMax)
	}
	wait -= rand.N(wait/4 + 1)
	var refused *sendError
	if errors.As(err, &refused) {
		wait = max(wait, refused.wait)
	}
	s.notUntil = f.d.o.Now().Add(wait)
	sentence := withoutSecrets(fault.Public(err), f.settings)
	f.d.log.Warn("a destination takes no rows", "destination", f.row.Name, "stream", s.cursor.Stream, "failures", s.failures, "retry_in", wait,
		"error", withoutSecrets(err.Error(), f.settings))
	if theirs {
		f.close() // what is left of a connection is of no use
		f.note(ctx, s, sentence)
	}
}

// note stores why a stream does not get on.
func (f *forwarding) note(ctx context.Context, s *streaming, sentence string) {
	if s.cursor.FailingSince == 0 {
		s.cursor.FailingSince = database.Micros(f.d.o.Now())
	}
	s.cursor.LastError = sentence
	if _, err := f.d.save(ctx, s.cursor, s.place.ID); err != nil && ctx.Err() == nil {
		f.d.log.Warn("the failure of a destination cannot be noted", "destination", f.row.Name, "error", err)
	}
}

// Test sends one line to a destination now, whether it is active or not, and returns
// when the receiver has acknowledged it. Faults: NotFound; Unprocessable, saying why
// it was not taken.
func (d *Destinations) Test(ctx context.Context, name string) error {
	row, err := d.row(ctx, d.db, name)
	if err != nil {
		return err
	}
	settings, err := d.openedSettings(row.Kind, row.Settings)
	if err != nil {
		return err
	}
	now := d.o.Now()
	text, err := testLine(Destination{Name: row.Name}, now)
	if err != nil {
		return err
	}
	s, err := settings.open(d.o)
	if err == nil {
		defer s.close()
		ctx, cancel := context.WithTimeout(ctx, min(d.o.SendTimeout, testTimeout))
		defer cancel()
		at := now.UnixMicro()
		err = guardedSend(ctx, s, batch{destination: row.Name, stream: streamTest, first: at, last: at, lines: []line{{host: "muster", name: "muster", at: now, text: text}}})
	}
	if err != nil {
		return fault.Wrap(errors.New(withoutSecrets(err.Error(), settings)), fault.Unprocessable, "%s", withoutSecrets(fault.Public(err), settings))
	}
	return nil
}

// testTimeout leaves clients, which give up at 30 s, time to hear of it.
const testTimeout = 20 * time.Second
