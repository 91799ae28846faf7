package outputs

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/jobs"
	"muster/server/results"
	"muster/server/seal"
)

// DestinationsTopic is the bus topic of hints that destinations changed.
const DestinationsTopic = "destinations"

const (
	maxDestinations    = 100
	maxDestinationName = 64
)

// Destinations keeps the destinations and forwards streams to them (see Run). It is
// safe for concurrent use.
//
// It writes the tables destinations and destination_cursors.
type Destinations struct {
	db      *database.DB
	box     *seal.Box
	hosts   *hosts.Store
	results *results.Store
	alerts  *alerts.Store
	bus     bus.Bus
	runner  *jobs.Runner
	log     *slog.Logger
	o       DestinationOptions
}

// DestinationDeps are what destinations stand on.
type DestinationDeps struct {
	DB      *database.DB
	Box     *seal.Box
	Hosts   *hosts.Store
	Results *results.Store
	Alerts  *alerts.Store
	Bus     bus.Bus
	Log     *slog.Logger
}

// NewDestinations returns a store that forwards while Run runs.
func NewDestinations(d DestinationDeps, o DestinationOptions) *Destinations {
	o = o.withDefaults()
	return &Destinations{
		db: d.DB, box: d.Box, hosts: d.Hosts, results: d.Results, alerts: d.Alerts, bus: d.Bus, log: d.Log, o: o,
		runner: jobs.New(d.DB, d.Log, o.Now),
	}
}

// destinationRow is a row of the table destinations.
type destinationRow struct {
	ID, Active, Version, CreatedAt, UpdatedAt int64
	Name, Kind, Settings                      string
	Format                                    Format
}

// NewDestination is a destination to be added.
type NewDestination struct {
	Name, Kind string
	Streams    []Stream // at least one
	Format     Format   // empty: FormatMuster
	Active     bool
	Settings   map[string]any
	// FromBeginning forwards what is stored already; otherwise it starts with what
	// comes now.
	FromBeginning bool
}

// DestinationChange changes a destination; what is nil stays. Settings replace all of
// them, but for secrets that are Mask.
type DestinationChange struct {
	Streams  *[]Stream
	Format   *Format
	Active   *bool
	Settings *map[string]any
}

// List returns the destinations by name.
func (d *Destinations) List(ctx context.Context) ([]Destination, error) {
	rows, err := d.rows(ctx, d.db, "ORDER BY name")
	if err != nil {
		return nil, err
	}
	all := make([]Destination, 0, len(rows))
	for _, row := range rows {
		shown, err := d.shown(ctx, d.db, row)
		if err != nil {
			return nil, err
		}
		all = append(all, shown)
	}
	return all, nil
}

// Find returns a destination. Faults: NotFound.
func (d *Destinations) Find(ctx context.Context, name string) (Destination, error) {
	row, err := d.row(ctx, d.db, name)
	if err != nil {
		return Destination{}, err
	}
	return d.shown(ctx, d.db, row)
}

// Add stores a destination, without trying whether it can be reached. Faults:
// Conflict when there is one of this name, or one that writes the same file;
// Unprocessable, naming the field.
func (d *Destinations) Add(ctx context.Context, n NewDestination) (added Destination, err error) {
	n.Name = strings.TrimSpace(n.Name)
	streams, format, err := soundDestination(n.Streams, n.Format)
	if err != nil {
		return Destination{}, err
	}
	if !soundDestinationName(n.Name) {
		return Destination{}, fault.New(fault.Unprocessable, "name has between 1 and %d letters, digits, blanks or any of . _ -", maxDestinationName)
	}
	settings, err := d.sealedSettings(n.Kind, n.Settings, nil)
	if err != nil {
		return Destination{}, err
	}
	places, err := d.starts(ctx, streams, n.FromBeginning)
	if err != nil {
		return Destination{}, err
	}
	err = d.db.Tx(ctx, func(tx *database.DB) error {
		if err := d.room(ctx, tx, n.Name); err != nil {
			return err
		}
		if err := d.alone(ctx, tx, destinationRow{Kind: n.Kind, Settings: settings}); err != nil {
			return err
		}
		now := database.Micros(d.o.Now())
		err := tx.Write(ctx).Exec("INSERT INTO destinations (name, kind, format, active, settings, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			n.Name, n.Kind, format, flag(n.Active), settings, now, now).Error
		if err != nil {
			return err
		}
		row, err := d.row(ctx, tx, n.Name)
		if err != nil {
			return err
		}
		if err := addCursors(ctx, tx, row.ID, streams, places); err != nil {
			return err
		}
		added, err = d.shown(ctx, tx, row)
		return err
	})
	d.changed(err)
	return added, err
}

// room says whether there is room for a destination of this name.
func (d *Destinations) room(ctx context.Context, tx *database.DB, name string) error {
	if err := tx.Lock(ctx, "destinations"); err != nil {
		return err
	}
	rows, err := d.rows(ctx, tx, "")
	switch {
	case err != nil:
		return err
	case len(rows) >= maxDestinations:
		return fault.New(fault.Unprocessable, "There are %d destinations already, and no more are taken", maxDestinations)
	case slices.ContainsFunc(rows, func(r destinationRow) bool { return r.Name == name }):
		return fault.New(fault.Conflict, "There is a destination of this name already")
	}
	return nil
}

// Change changes a destination. A stream that is new to it starts with what comes
// now. It returns the destination before and after. Faults: NotFound; Conflict when
// another writes the same file; Unprocessable, naming the field.
func (d *Destinations) Change(ctx context.Context, name string, c DestinationChange) (before, after Destination, err error) {
	places, err := d.starts(ctx, Streams(), false)
	if err != nil {
		return before, after, err
	}
	err = d.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, "destinations"); err != nil {
			return err
		}
		row, err := d.row(ctx, tx, name)
		if err != nil {
			return err
		}
		if before, err = d.shown(ctx, tx, row); err != nil {
			return err
		}
		if err := d.change(ctx, tx, row, before, c, places); err != nil {
			return err
		}
		if row, err = d.row(ctx, tx, name); err != nil {
			return err
		}
		after, err = d.shown(ctx, tx, row)
		return err
	})
	d.changed(err)
	return before, after, err
}

func (d *Destinations) change(ctx context.Context, tx *database.DB, row destinationRow, before Destination, c DestinationChange, places map[Stream]int64) error {
	streams, format := before.Streams, before.Format
	if c.Streams != nil {
		streams = *c.Streams
	}
	if c.Format != nil {
		format = *c.Format
	}
	streams, format, err := soundDestination(streams, format)
	if err != nil {
		return err
	}
	if c.Settings != nil {
		old, lost := d.openedSettings(row.Kind, row.Settings)
		if lost != nil {
			old = nil // what was sealed with another key has to be entered again
		}
		if row.Settings, err = d.sealedSettings(row.Kind, *c.Settings, old); err != nil {
			return err
		}
		if err := d.alone(ctx, tx, row); err != nil {
			return err
		}
	}
	if c.Active != nil {
		row.Active = flag(*c.Active)
	}
	err = tx.Write(ctx).Exec("UPDATE destinations SET format = ?, active = ?, settings = ?, version = version + 1, updated_at = ? WHERE id = ?",
		format, row.Active, row.Settings, database.Micros(d.o.Now()), row.ID).Error
	if err != nil {
		return err
	}
	if err := tx.Write(ctx).Exec("DELETE FROM destination_cursors WHERE destination_id = ? AND stream NOT IN ?", row.ID, streams).Error; err != nil {
		return err
	}
	return addCursors(ctx, tx, row.ID, streams, places)
}

// Delete forgets a destination and how far it got. Faults: NotFound.
func (d *Destinations) Delete(ctx context.Context, name string) (deleted Destination, err error) {
	err = d.db.Tx(ctx, func(tx *database.DB) error {
		row, err := d.row(ctx, tx, name)
		if err != nil {
			return err
		}
		if deleted, err = d.shown(ctx, tx, row); err != nil {
			return err
		}
		return tx.Write(ctx).Exec("DELETE FROM destinations WHERE id = ?", row.ID).Error
	})
	d.changed(err)
	return deleted, err
}

func (d *Destinations) changed(err error) {
	if err == nil {
		d.bus.Publish(DestinationsTopic)
	}
}

func (d *Destinations) rows(ctx context.Context, db *database.DB, where string, args ...any) ([]destinationRow, error) {
	var rows []destinationRow
	err := db.Read(ctx).Raw("SELECT id, name, kind, format, active, settings, version, created_at, updated_at FROM destinations "+where, args...).Scan(&rows).Error
	return rows, database.Fault(err)
}

func (d *Destinations) row(ctx context.Context, db *database.DB, name string) (destinationRow, error) {
	rows, err := d.rows(ctx, db, "WHERE name = ?", name)
	if err == nil && len(rows) == 0 {
		err = fault.New(fault.NotFound, "There is no destination of this name")
	}
	if err != nil {
		return destinationRow{}, err
	}
	return rows[0], nil
}

func (d *Destinations) shown(ctx context.Context, db *database.DB, row destinationRow) (Destination, error) {
	cursors, err := readCursors(ctx, db, row.ID)
	if err != nil {
		return Destination{}, err
	}
	shown := Destination{
		ID: row.ID, Name: row.Name, Kind: row.Kind, Format: row.Format, Active: row.Active != 0, Settings: d.shownSettings(row.Kind, row.Settings),
		Created: database.FromMicros(row.CreatedAt), Updated: database.FromMicros(row.UpdatedAt),
	}
	for _, c := range cursors {
		shown.Streams = append(shown.Streams, c.Stream)
	}
	return shown, nil
}

// soundDestination returns streams in their order, each once, and a format.
func soundDestination(streams []Stream, format Format) ([]Stream, Format, error) {
	var sound []Stream
	for _, stream := range Streams() {
		if slices.Contains(streams, stream) {
			sound = append(sound, stream)
		}
	}
	for _, stream := range streams {
		if !slices.Contains(Streams(), stream) {
			return nil, "", fault.New(fault.Unprocessable, "streams are any of results, status, alerts")
		}
	}
	if len(sound) == 0 {
		return nil, "", fault.New(fault.Unprocessable, "streams names at least one of results, status, alerts")
	}
	if format == "" {
		format = FormatMuster
	}
	if format != FormatMuster && format != FormatESP {
		return nil, "", fault.New(fault.Unprocessable, "format is muster or esp")
	}
	return sound, format, nil
}

func soundDestinationName(name string) bool {
	return name != "" && len(name) <= maxDestinationName && name != "." && name != ".." && name != "add" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(" ._-", r)
	})
}
