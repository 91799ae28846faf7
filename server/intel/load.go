package intel

import (
	"context"
	"database/sql"
	"maps"
	"sync"
	"time"

	"muster/server/database"
)

// memory is what was read last: all indicators as of one change, and those that
// changed since.
type memory struct {
	sync.Mutex // one at a time reads

	whole  int64 // the change as of which all were read
	upto   int64 // the last change that was read
	base   *tables
	late   map[int64]record
	again  time.Time // before then not all are read again
	loaded bool
}

// counter is the setting indicators.
type counter struct {
	Change int64 `json:"change"` // the last one
	Purged int64 `json:"purged"` // deleted ones up to this change may be gone for good
}

const counterSetting = "indicators"

// refresh reads what changed. When much did, all is read again, but not all the time
// while a large import goes on, unless it has to be now.
func (s *Store) refresh(ctx context.Context, now bool) error {
	m := s.memory
	m.Lock()
	defer m.Unlock()
	return s.db.View(ctx, func(view *database.DB) error {
		var last counter
		if _, err := view.Setting(ctx, counterSetting, &last); err != nil {
			return err
		}
		if m.loaded && last.Change == m.upto {
			return nil
		}
		if m.loaded && last.Purged <= m.upto {
			few, err := s.readLate(ctx, view, last)
			if few || err != nil {
				return err
			}
		}
		if !now && time.Now().Before(m.again) {
			return nil
		}
		return s.readAll(ctx, view, last)
	})
}

const recordFields = "id, type, value, threat_name, severity, feed, confidence, expires_at, deleted"

// readLate reads what changed since the last look, unless it is too much.
func (s *Store) readLate(ctx context.Context, view *database.DB, last counter) (few bool, err error) {
	m := s.memory
	late := maps.Clone(m.late)
	if late == nil {
		late = map[int64]record{}
	}
	err = s.eachRecord(ctx, view, "changed > ? ORDER BY changed LIMIT ?", []any{m.upto, s.o.Late + 1}, func(r record) {
		late[r.ID] = r
	})
	if err != nil || len(late) > s.o.Late {
		return false, err
	}
	b := newBuilder(nil)
	replaced := make(map[int64]struct{}, len(late))
	for id, r := range late {
		replaced[id] = struct{}{}
		if !r.Deleted {
			b.add(r)
		}
	}
	m.late, m.upto = late, last.Change
	s.current.Store(&set{base: m.base, late: b.t, replaced: replaced})
	return true, nil
}

// readAll reads every indicator.
func (s *Store) readAll(ctx context.Context, view *database.DB, last counter) error {
	m, began := s.memory, time.Now()
	var counts []struct {
		Type  string
		Count int
	}
	if err := view.Read(ctx).Raw("SELECT type, count(*) AS count FROM indicators WHERE deleted = 0 GROUP BY type").Scan(&counts).Error; err != nil {
		return err
	}
	expected := map[string]int{}
	for _, c := range counts {
		expected[c.Type] = c.Count
	}
	b := newBuilder(expected)
	if err := s.eachRecord(ctx, view, "deleted = 0", nil, b.add); err != nil {
		return err
	}
	m.base, m.late, m.whole, m.upto, m.loaded = b.t, nil, last.Change, last.Change, true
	took := time.Since(began)
	m.again = time.Now().Add(5 * took)
	s.current.Store(&set{base: b.t, late: &tables{}})
	s.log.Debug("all indicators were read", "indicators", len(b.t.entries)-1, "duration", took)
	return nil
}

// eachRecord reads indicators one by one.
func (s *Store) eachRecord(ctx context.Context, view *database.DB, where string, args []any, fn func(record)) error {
	if view.Engine() == database.SQLite {
		ctx = context.WithoutCancel(ctx) // else the driver starts a goroutine for each row
	}
	rows, err := view.Read(ctx).Raw("SELECT "+recordFields+" FROM indicators WHERE "+where, args...).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return err
		}
		fn(r)
	}
	return rows.Err()
}

func scanRecord(rows *sql.Rows) (record, error) {
	var r record
	var deleted int64
	err := rows.Scan(&r.ID, &r.Type, &r.Value, &r.Threat, &r.Severity, &r.Feed, &r.Confidence, &r.Expires, &deleted)
	r.Deleted = deleted != 0
	return r, err
}
