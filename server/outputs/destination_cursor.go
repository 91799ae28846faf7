package outputs

import (
	"context"
	"slices"
	"strconv"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// cursorRow is a row of the table destination_cursors.
type cursorRow struct {
	DestinationID, Position, Sending, Delivered, DeliveredAt, Missed, FailingSince int64
	Stream                                                                         Stream
	LastError                                                                      string
}

// readCursors returns the cursors of a destination in the order of Streams.
func readCursors(ctx context.Context, db *database.DB, id int64) ([]cursorRow, error) {
	var rows []cursorRow
	err := db.Read(ctx).Raw(`SELECT destination_id, stream, position, sending, delivered, delivered_at, missed, failing_since, last_error
		FROM destination_cursors WHERE destination_id = ?`, id).Scan(&rows).Error
	slices.SortFunc(rows, func(a, b cursorRow) int {
		return slices.Index(Streams(), a.Stream) - slices.Index(Streams(), b.Stream)
	})
	return rows, database.Fault(err)
}

// addCursors adds the cursors that are missing.
func addCursors(ctx context.Context, tx *database.DB, id int64, streams []Stream, places map[Stream]int64) error {
	for _, stream := range streams {
		err := tx.Write(ctx).Exec("INSERT INTO destination_cursors (destination_id, stream, position) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			id, stream, places[stream]).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// starts are the positions before the first row there is, or after the last.
func (d *Destinations) starts(ctx context.Context, streams []Stream, beginning bool) (map[Stream]int64, error) {
	places := map[Stream]int64{}
	for _, stream := range streams {
		e, err := d.ends(ctx, stream, 0)
		if err != nil {
			return nil, err
		}
		if places[stream] = e.newest; beginning {
			places[stream] = e.oldest - 1
		}
	}
	return places, nil
}

// Where Rewind may go to, beside an id in digits.
const (
	RewindNow       = "now"
	RewindBeginning = "beginning"
)

// Rewind moves a stream of a destination: to what comes now, to the beginning of what
// is stored, or after the row with an id. What counts as delivered or missed stays as
// it is, and a failure is tried again at once. It returns the position before and
// after. Faults: NotFound; Unprocessable, naming the field.
func (d *Destinations) Rewind(ctx context.Context, name string, stream Stream, to string) (before, after int64, err error) {
	if !slices.Contains(Streams(), stream) {
		return 0, 0, fault.New(fault.Unprocessable, "stream is one of results, status, alerts")
	}
	e, err := d.ends(ctx, stream, 0)
	if err != nil {
		return 0, 0, err
	}
	switch to {
	case RewindNow:
		after = e.newest
	case RewindBeginning:
		after = e.oldest - 1
	default:
		id, err := strconv.ParseInt(to, 10, 64)
		if err != nil || id < 0 {
			return 0, 0, fault.New(fault.Unprocessable, "to is now, beginning, or the id of a row")
		}
		after = min(max(id, e.oldest-1), e.newest)
	}
	err = d.db.Tx(ctx, func(tx *database.DB) error {
		row, err := d.row(ctx, tx, name)
		if err != nil {
			return err
		}
		cursors, err := readCursors(ctx, tx, row.ID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(cursors, func(c cursorRow) bool { return c.Stream == stream })
		if at < 0 {
			return fault.New(fault.Unprocessable, "The destination does not get the stream %s", stream)
		}
		before = cursors[at].Position
		err = tx.Write(ctx).Exec(`UPDATE destination_cursors SET position = ?, sending = 0, failing_since = 0, last_error = ''
			WHERE destination_id = ? AND stream = ?`, after, row.ID, stream).Error
		if err != nil {
			return err
		}
		return tx.Write(ctx).Exec("UPDATE destinations SET version = version + 1 WHERE id = ?", row.ID).Error
	})
	d.changed(err)
	return before, after, err
}

// Progress tells how far a destination got with each of its streams, or every one if
// the name is empty: by name and in the order of Streams. It is empty for a name that
// there is not.
func (d *Destinations) Progress(ctx context.Context, name string) ([]Progress, error) {
	rows, err := d.rows(ctx, d.db, "WHERE name = ? OR ? = '' ORDER BY name", name, name)
	if err != nil {
		return nil, err
	}
	var all []Progress
	for _, row := range rows {
		cursors, err := readCursors(ctx, d.db, row.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range cursors {
			e, err := d.ends(ctx, c.Stream, c.Position)
			if err != nil {
				return nil, err
			}
			all = append(all, c.progress(row, e, d.o.Now()))
		}
	}
	return all, nil
}

func (c cursorRow) progress(row destinationRow, e ends, now time.Time) Progress {
	p := Progress{
		Destination: row.Name, Stream: c.Stream, Active: row.Active != 0, Position: c.Position, Delivered: c.Delivered,
		DeliveredAt: database.FromMicros(c.DeliveredAt), Missed: c.Missed, FailingSince: database.FromMicros(c.FailingSince), LastError: c.LastError,
	}
	if !e.since.IsZero() {
		p.BehindRows, p.Behind = max(e.newest-c.Position, 1), max(now.Sub(e.since), 0)
	}
	return p
}

// save notes what became of rows up to a position, and says false when somebody moved
// the cursor meanwhile or deleted it.
func (d *Destinations) save(ctx context.Context, c cursorRow, from int64) (bool, error) {
	done := d.db.Write(ctx).Exec(`UPDATE destination_cursors SET position = ?, sending = ?, delivered = ?, delivered_at = ?, missed = ?, failing_since = ?, last_error = ?
		WHERE destination_id = ? AND stream = ? AND position = ?`,
		c.Position, c.Sending, c.Delivered, c.DeliveredAt, c.Missed, c.FailingSince, c.LastError, c.DestinationID, c.Stream, from)
	return done.RowsAffected == 1, database.Fault(done.Error)
}
