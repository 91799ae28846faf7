package intel

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/jobs"
)

// RetroJob is the kind of the job that looks for new indicators in what is stored. It
// has no arguments: how far it got is kept here.
const RetroJob = "intel.retro"

const (
	retroSetting = "intel_retro"
	retroRuns    = 20 // that are remembered
)

// RetroRun is one look back.
type RetroRun struct {
	Started, Ended time.Time // Ended is zero while it goes on
	Indicators     int       // looked for
	Sightings      int       // rows that held one
	Alerts         int       // raised: one for each indicator and host
	Rows           int64     // looked at for networks and what is below domains
	From           time.Time // since when these rows arrived
	Complete       bool      // everything stored was looked at
	Error          string    // why it ended early; empty: it did not
}

// retroState is the setting intel_retro.
type retroState struct {
	Upto int64      `json:"upto"` // every indicator added up to this change was looked for
	Runs []RetroRun `json:"runs"` // the newest first
}

// retro leaves what the change added to a look back.
func (w *write) retro(ctx context.Context, added int) error {
	if added == 0 || w.s.o.Jobs == nil {
		return nil
	}
	return w.s.o.Jobs.With(w.tx).Add(ctx, jobs.NewJob{Kind: RetroJob, Key: "all", RunAt: w.s.o.Now().Add(w.s.o.RetroAfter)})
}

// RetroRuns returns the last looks back, the newest first. Faults: those of the database.
func (s *Store) RetroRuns(ctx context.Context) ([]RetroRun, error) {
	var state retroState
	_, err := s.db.Setting(ctx, retroSetting, &state)
	return state.Runs, err
}

// SaveRetro notes how a look back goes: it takes the place of the run that started at
// the same time. Faults: those of the database.
func (s *Store) SaveRetro(ctx context.Context, run RetroRun) error {
	return s.changeRetro(ctx, func(state *retroState) {
		for i := range state.Runs {
			if state.Runs[i].Started.Equal(run.Started) {
				state.Runs[i] = run
				return
			}
		}
		state.Runs = append([]RetroRun{run}, state.Runs...)
		state.Runs = state.Runs[:min(len(state.Runs), retroRuns)]
	})
}

func (s *Store) changeRetro(ctx context.Context, fn func(*retroState)) error {
	return s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, retroSetting); err != nil {
			return err
		}
		var state retroState
		if _, err := tx.Setting(ctx, retroSetting, &state); err != nil {
			return err
		}
		fn(&state)
		return tx.SetSetting(ctx, retroSetting, state)
	})
}

// Fresh are indicators that were added since the last look back.
type Fresh struct {
	s           *Store
	upto        int64 // the change up to which they were added
	since       int64
	changed, id int64 // where to go on
}

// Fresh begins a look back: what was added so far, in this memory too. Faults: those
// of the database.
func (s *Store) Fresh(ctx context.Context) (*Fresh, error) {
	var last counter
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, counterSetting); err != nil { // a change under way may have found our job waiting
			return err
		}
		_, err := tx.Setting(ctx, counterSetting, &last)
		return err
	})
	if err != nil {
		return nil, err
	}
	var state retroState
	if _, err := s.db.Setting(ctx, retroSetting, &state); err != nil {
		return nil, err
	}
	if err := s.refresh(ctx, true); err != nil {
		return nil, err
	}
	return &Fresh{s: s, upto: last.Change, since: state.Upto, changed: state.Upto}, nil
}

// Next returns some more of them, in any order, and none at the end: those that still
// hold, and whose value no indicator had before.
func (f *Fresh) Next(ctx context.Context, some int) ([]Indicator, error) {
	for {
		var rows []row
		err := f.s.db.Read(ctx).Raw("SELECT "+rowFields+`, changed, (SELECT count(*) FROM indicators other WHERE other.type = i.type AND other.value = i.value
			AND other.deleted = 0 AND other.added <= ?) AS known FROM indicators i
			WHERE changed >= ? AND (changed > ? OR id > ?) AND added > ? AND deleted = 0 AND (expires_at = 0 OR expires_at > ?)
			ORDER BY changed, id LIMIT ?`, f.since, f.changed, f.changed, f.id, f.since, database.Micros(f.s.o.Now()), some).Scan(&rows).Error
		if err != nil || len(rows) == 0 {
			return nil, database.Fault(err)
		}
		last := rows[len(rows)-1]
		f.changed, f.id = last.Changed, last.ID
		var fresh []Indicator
		for _, r := range rows {
			if r.Known == 0 {
				fresh = append(fresh, r.indicator())
			}
		}
		if len(fresh) > 0 {
			return fresh, nil
		}
	}
}

// Done notes that all of them were looked for. Faults: those of the database.
func (f *Fresh) Done(ctx context.Context) error {
	return f.s.changeRetro(ctx, func(state *retroState) { state.Upto = max(state.Upto, f.upto) })
}
