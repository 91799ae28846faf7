package outputs

import (
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"muster/server/alerts"
	"muster/server/database"
	"muster/server/detect"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/jobs"
	"muster/server/seal"
)

// AlerterDeps are what Alerters stand on. All stores are required.
type AlerterDeps struct {
	DB     *database.DB
	Box    *seal.Box
	Mail   *Mail
	Queue  *jobs.Queue
	Hosts  *hosts.Store
	Alerts *alerts.Store
	Rules  *detect.Store
	Log    *slog.Logger

	// ConsoleURL is where people find the console, without a slash at its end; empty:
	// no links.
	ConsoleURL string
	Now        func() time.Time // nil: time.Now
}

// Alerters keeps whom alerts are told, and tells them. It is safe for concurrent use.
type Alerters struct {
	AlerterDeps
	paces *paces

	mu    sync.Mutex
	ready map[int64]readyAlerter
	warn  map[string]bool // names that were warned of
}

// readyAlerter is an alerter made of the settings that were stored then.
type readyAlerter struct {
	Alerter
	stored string
}

// NewAlerters returns a store and worker of alerters.
func NewAlerters(d AlerterDeps) *Alerters {
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Alerters{AlerterDeps: d, paces: newPaces(d.Now), ready: map[int64]readyAlerter{}, warn: map[string]bool{}}
}

// Receiver is a stored alerter: somebody whom rules may name.
type Receiver struct {
	ID       int64
	Name     string // unique; it does not change
	Kind     string
	Active   bool
	BuiltIn  bool            // there from the start; stays
	Settings json.RawMessage // an object; secrets are masked
	Created  time.Time       // zero for those that are built in
	Updated  time.Time       // zero until somebody changes it
}

// NewReceiver is an alerter to be added.
type NewReceiver struct {
	Name, Kind string
	Active     bool
	Settings   json.RawMessage // an object, with plain secrets
}

// ReceiverChange is what changes about an alerter.
type ReceiverChange struct {
	Active *bool
	// Settings holds the fields that change. A secret as it was shown stays, unless it
	// would go to another receiver now.
	Settings json.RawMessage
}

// AlerterKinds are the kinds of alerters, sorted.
func AlerterKinds() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

const (
	alertersLock  = "alerters"
	maxAlerters   = 200
	debugAlerters = "debug" // the name of the one that is always active
)

// Names are part of addresses and stand in lists with commas; add and failed are
// addresses of the API themselves.
var receiverName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkReceiverName(name string) error {
	if !receiverName.MatchString(name) || name == "add" || name == "failed" {
		return fault.New(fault.Unprocessable, "name has up to 64 letters, digits, dots, dashes and underscores, and is neither add nor failed")
	}
	return nil
}

// List returns all alerters by name. Faults: those of the database.
func (a *Alerters) List(ctx context.Context) ([]Receiver, error) {
	var rows []receiverRow
	if err := a.DB.Read(ctx).Raw("SELECT " + receiverFields + " FROM alerters ORDER BY name").Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	all := make([]Receiver, 0, len(rows))
	for _, r := range rows {
		all = append(all, a.shown(r))
	}
	return all, nil
}

// Find returns one. Faults: NotFound, those of the database.
func (a *Alerters) Find(ctx context.Context, name string) (Receiver, error) {
	row, err := findReceiver(ctx, a.DB, name)
	if err != nil {
		return Receiver{}, err
	}
	return a.shown(row), nil
}

// Add stores an alerter, without talking to its receiver. Faults: Unprocessable,
// naming what is wrong; Conflict when there is one of that name.
func (a *Alerters) Add(ctx context.Context, n NewReceiver) (Receiver, error) {
	if err := checkReceiverName(n.Name); err != nil {
		return Receiver{}, err
	}
	if _, known := kinds[n.Kind]; !known {
		return Receiver{}, fault.New(fault.Unprocessable, "There is no kind of alerter %.80q", n.Kind)
	}
	now := database.Micros(a.Now())
	row := receiverRow{Name: n.Name, Kind: n.Kind, Active: flag(n.Active), CreatedAt: now, UpdatedAt: now}
	var err error
	if row.Settings, err = a.merged(row, n.Settings, true); err != nil {
		return Receiver{}, err
	}
	err = a.DB.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, alertersLock); err != nil {
			return err
		}
		var count int64
		if err := tx.Read(ctx).Raw("SELECT count(*) FROM alerters").Scan(&count).Error; err != nil {
			return err
		}
		if count >= maxAlerters {
			return fault.New(fault.Unprocessable, "There are %d alerters already, and there may be no more", count)
		}
		if _, err := findReceiver(ctx, tx, n.Name); err == nil {
			return fault.New(fault.Conflict, "There is an alerter with the name %s already", n.Name)
		}
		return tx.Write(ctx).Raw(`INSERT INTO alerters (name, kind, active, settings, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
			row.Name, row.Kind, row.Active, row.Settings, row.CreatedAt, row.UpdatedAt).Scan(&row.ID).Error
	})
	return a.shown(row), database.Fault(err)
}

// Change changes an alerter and returns it before and after. Jobs that wait for it
// go by what it is when they run. Faults: NotFound, Unprocessable.
func (a *Alerters) Change(ctx context.Context, name string, c ReceiverChange) (before, after Receiver, err error) {
	err = a.DB.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, alertersLock); err != nil { // or one of two changes at a time is lost
			return err
		}
		row, err := findReceiver(ctx, tx, name)
		if err != nil {
			return err
		}
		before = a.shown(row)
		if c.Active != nil {
			row.Active = flag(*c.Active)
		}
		if row.BuiltIn != 0 && row.Name == debugAlerters && row.Active == 0 {
			return fault.New(fault.Unprocessable, "The alerter debug is always active")
		}
		if c.Settings != nil || row.Active != 0 { // one without settings may be put to rest
			if row.Settings, err = a.merged(row, c.Settings, false); err != nil {
				return err
			}
		}
		row.UpdatedAt = database.Micros(a.Now())
		after = a.shown(row)
		return tx.Write(ctx).Exec("UPDATE alerters SET active = ?, settings = ?, updated_at = ? WHERE id = ?", row.Active, row.Settings, row.UpdatedAt, row.ID).Error
	})
	return before, after, database.Fault(err)
}

// Delete deletes an alerter and what waits for its digest, and returns it. Its
// jobs end without telling anybody. Faults: NotFound; Conflict for one that is
// built in.
func (a *Alerters) Delete(ctx context.Context, name string) (Receiver, error) {
	var deleted Receiver
	err := a.DB.Tx(ctx, func(tx *database.DB) error {
		row, err := findReceiver(ctx, tx, name)
		if err != nil {
			return err
		}
		if row.BuiltIn != 0 {
			return fault.New(fault.Conflict, "The alerter %s is built in: it may be made inactive instead", name)
		}
		deleted = a.shown(row)
		return tx.Write(ctx).Exec("DELETE FROM alerters WHERE id = ?", row.ID).Error
	})
	return deleted, database.Fault(err)
}
