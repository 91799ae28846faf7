package pipeline

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/detect"
	"muster/server/hosts"
	"muster/server/intel"
	"muster/server/results"
)

// Bounds of what one commit raises: the rows of more are left to a replay, since others
// wait for the commit. An alert holds its row, so that many findings of large rows are
// much to store.
const (
	maxRaised      = 500
	maxRaisedBytes = 8 << 20
)

// Detection looks at rows on their way in: with rules and indicators, in memory, before
// they are stored. What it finds becomes alerts in the commit that stores the rows.
// It can cost no row: what cannot be evaluated or raised is left to a replay.
type Detection struct {
	*Raiser
	Hosts   *hosts.Store
	Results *results.Store
	Detect  *detect.Store
	Intel   *intel.Store
	// Tables names the tables that a host's query reads.
	Tables func(h *hosts.Host, query string) []string
	Log    *slog.Logger
}

// sighting is what was found in a row (results.Entry.Finding).
type sighting struct {
	found      []found // without what every finding of a row has
	incomplete bool    // some rule could not be evaluated
}

var objects = sync.Pool{New: func() any { return &condition.Object{} }}

// look evaluates the rows of lines and notes in them what it found.
func (d *Detection) look(h *hosts.Host, lines []results.Line) {
	row := objects.Get().(*condition.Object) //nolint:forcetypeassert // the pool makes nothing else
	defer objects.Put(row)
	for i := range lines {
		for k := range lines[i].Entries {
			e := &lines[i].Entries[k]
			if s := d.guardedSight(h, row, e, 0); s != nil {
				e.Finding = s
			}
		}
	}
}

// guardedSight is sight, which a failure of ours must not turn into one of storing.
func (d *Detection) guardedSight(h *hosts.Host, row *condition.Object, e *results.Entry, within time.Duration) (s *sighting) {
	defer func() {
		if cause := recover(); cause != nil {
			d.Log.Error("looking at a row failed: it is left to a replay", "query", e.Name, "cause", cause, "stack", string(debug.Stack()))
			s = &sighting{incomplete: true}
		}
	}()
	return d.sight(h, row, e, within)
}

// sight evaluates one row; nil: there is nothing to it. within 0 is the usual time.
func (d *Detection) sight(h *hosts.Host, row *condition.Object, e *results.Entry, within time.Duration) *sighting {
	if row.Load(unsafe.String(unsafe.SliceData(e.Columns), len(e.Columns))) != nil {
		return nil // stored as it came, and no row of columns
	}
	matches, complete := d.Detect.Evaluate(detect.Event{
		HostID: h.ID, HostIdentifier: h.Identifier, Platform: h.Platform, Query: e.Name, Action: e.Action,
		UnixTime: e.UnixTime, Tables: d.Tables(h, e.Name), Row: row, Within: within,
	})
	hits := d.Intel.Check(row)
	if len(matches)+len(hits) == 0 && complete {
		return nil
	}
	s := &sighting{incomplete: !complete}
	for i := range matches {
		s.found = append(s.found, matchFound(&matches[i]))
	}
	for i := range hits {
		s.found = append(s.found, hitFound(&hits[i]))
	}
	return s
}

// Found is results.Options.Found.
func (d *Detection) Found(ctx context.Context, tx *database.DB, rows []results.FoundRow, later bool) error {
	now := atOnce(rows)
	if later {
		now = nil
	}
	left := idsOf(rows[len(now):])
	err := tx.Tx(ctx, func(tx *database.DB) error {
		_, err := d.raise(ctx, tx, findings(now))
		return err
	})
	if err != nil {
		d.Log.Error("alerts could not be raised with their rows: they are left to a replay", "rows", len(now), "error", err)
		left = append(left, idsOf(now)...)
	} else {
		for _, r := range now {
			if s, ok := r.Finding.(*sighting); ok && s.incomplete {
				left = append(left, r.ID)
			}
		}
	}
	return d.addReplay(ctx, tx, left)
}

// atOnce are the first rows, as many as may be raised in their commit.
func atOnce(rows []results.FoundRow) []results.FoundRow {
	findings, bytes := 0, 0
	for i, r := range rows {
		if s, ok := r.Finding.(*sighting); ok {
			findings += len(s.found)
			bytes += len(s.found) * len(r.Columns)
		}
		if findings > maxRaised || bytes > maxRaisedBytes {
			return rows[:i]
		}
	}
	return rows
}

func idsOf(rows []results.FoundRow) []int64 {
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return ids
}

// findings are what to raise for rows. Those of a row that will be looked at again are
// named, so that the replay raises only what is missing.
func findings(rows []results.FoundRow) []found {
	var all []found
	for _, r := range rows {
		s, ok := r.Finding.(*sighting)
		if !ok {
			continue
		}
		all = append(all, s.findings(r, s.incomplete)...)
	}
	return all
}

func (s *sighting) findings(r results.FoundRow, named bool) []found {
	all := make([]found, 0, len(s.found))
	for _, f := range s.found {
		f.HostID, f.QueryName, f.Action, f.Columns = r.HostID, r.Name, r.Action, r.Columns
		f.UnixTime, f.ResultID = r.UnixTime, r.ID
		if named {
			f.Once = "row:" + strconv.FormatInt(r.ID, 10) + ":" + f.Group
		}
		all = append(all, f)
	}
	return all
}
