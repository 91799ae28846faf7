package intel

import (
	"context"
	"encoding/json"

	"muster/server/database"
	"muster/server/fault"
)

const (
	// batch is how many indicators one transaction stores: SQLite has one writer, and
	// what hosts report must not wait long for it.
	batch = 4_000
	// maxSelf is how many indicators people may enter.
	maxSelf = 50_000
)

// item is an indicator as it goes to the database.
type item struct {
	Type        string `json:"t"`
	Value       string `json:"v"`
	Threat      string `json:"n"`
	Severity    string `json:"s"`
	Confidence  int    `json:"c"`
	Description string `json:"d"`
	Expires     int64  `json:"x"`
}

// key is what there is one of in a feed.
type key struct{ of, value, threat string }

func (i item) key() key { return key{i.Type, i.Value, i.Threat} }

// write is a change of indicators under way.
type write struct {
	s      *Store
	tx     *database.DB
	change int64
	now    int64
	feed   string
	batch  int64 // the number of the import
}

// change runs fn in a transaction that is the next change. Changes come one after the
// other, so that a replica that has read one has missed none before it.
func (s *Store) change(ctx context.Context, feed string, fn func(w *write) error) error {
	return s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, counterSetting); err != nil {
			return err
		}
		var last counter
		if _, err := tx.Setting(ctx, counterSetting, &last); err != nil {
			return err
		}
		last.Change++
		w := &write{s: s, tx: tx, change: last.Change, now: database.Micros(s.o.Now()), feed: feed, batch: last.Change}
		if err := fn(w); err != nil {
			return err
		}
		return tx.SetSetting(ctx, counterSetting, last)
	})
}

const (
	liteItems = `json_extract(e.value, '$.t'), json_extract(e.value, '$.v'), json_extract(e.value, '$.n'), json_extract(e.value, '$.s'),
		json_extract(e.value, '$.c'), json_extract(e.value, '$.d'), json_extract(e.value, '$.x')`
	liteFrom  = ` FROM json_each(?) AS e WHERE true`
	postItems = `e.t, e.v, e.n, e.s, e.c, e.d, e.x`
	postFrom  = ` FROM json_to_recordset(CAST(? AS json)) AS e (t text, v text, n text, s text, c bigint, d text, x bigint)`

	// gone: it is there no more, or it is as good as that.
	gone    = `(indicators.deleted = 1 OR (indicators.expires_at > 0 AND indicators.expires_at <= excluded.updated_at))`
	differs = `(indicators.severity <> excluded.severity OR indicators.confidence <> excluded.confidence
		OR indicators.description <> excluded.description OR indicators.expires_at <> excluded.expires_at)`
	putConflict = ` ON CONFLICT (type, value, feed, threat_name) DO UPDATE SET deleted = 0,
		import = CASE WHEN indicators.import > excluded.import THEN indicators.import ELSE excluded.import END,
		severity = excluded.severity, confidence = excluded.confidence, description = excluded.description, expires_at = excluded.expires_at,
		added = CASE WHEN ` + gone + ` THEN excluded.added ELSE indicators.added END,
		created_at = CASE WHEN ` + gone + ` THEN excluded.created_at ELSE indicators.created_at END,
		changed = CASE WHEN ` + gone + ` OR ` + differs + ` THEN excluded.changed ELSE indicators.changed END,
		updated_at = CASE WHEN ` + gone + ` OR ` + differs + ` THEN excluded.updated_at ELSE indicators.updated_at END`
)

// put stores indicators of the feed; no two have the same key.
func (w *write) put(ctx context.Context, items []item) error {
	text, err := json.Marshal(items)
	if err != nil {
		return err
	}
	fields, from := postItems, postFrom
	if w.tx.Engine() == database.SQLite {
		fields, from = liteItems, liteFrom
	}
	return w.tx.Write(ctx).Exec(`INSERT INTO indicators (type, value, threat_name, severity, confidence, description, expires_at,
		feed, created_at, updated_at, added, changed, import) SELECT `+fields+`, CAST(? AS text), `+parameters(5)+from+putConflict,
		w.feed, w.now, w.now, w.change, w.change, w.batch, string(text)).Error
}

// counts is how many indicators are new by this change, and how many of the others
// it changed.
func (w *write) counts(ctx context.Context) (added, changed int, err error) {
	var counts struct{ Added, Changed int }
	err = w.tx.Read(ctx).Raw(`SELECT coalesce(sum(CASE WHEN added = ? THEN 1 ELSE 0 END), 0) AS added, count(*) AS changed
		FROM indicators WHERE changed = ? AND deleted = 0`, w.change, w.change).Scan(&counts).Error
	return counts.Added, counts.Changed - counts.Added, err
}

// parameters is so many parameters that are numbers.
func parameters(n int) string {
	text := ""
	for i := range n {
		if i > 0 {
			text += ", "
		}
		text += "CAST(? AS bigint)"
	}
	return text
}

// stale marks indicators of the feed that neither the import nor one that began after
// it held as deleted, those with ids above after, some at a time: of two that go on at
// once, what the later one holds stays. It returns the id to go on after; 0 at the end.
func (w *write) stale(ctx context.Context, after int64, some int) (next int64, deleted int, err error) {
	var found struct{ Last, Count int64 }
	err = w.tx.Read(ctx).Raw(`SELECT coalesce(max(id), 0) AS last, count(*) AS count FROM (SELECT id FROM indicators
		WHERE feed = ? AND id > ? ORDER BY id LIMIT ?) AS part`, w.feed, after, some).Scan(&found).Error
	if err != nil || found.Count == 0 {
		return 0, 0, err
	}
	done := w.tx.Write(ctx).Exec(`UPDATE indicators SET deleted = 1, changed = ?, updated_at = ?
		WHERE feed = ? AND id > ? AND id <= ? AND deleted = 0 AND import < ?`, w.change, w.now, w.feed, after, found.Last, w.batch)
	if found.Count < int64(some) {
		found.Last = 0
	}
	return found.Last, int(done.RowsAffected), done.Error
}

// stored is how many indicators there are.
func (w *write) stored(ctx context.Context) (count int, err error) {
	err = w.tx.Read(ctx).Raw("SELECT count(*) FROM indicators WHERE deleted = 0").Scan(&count).Error
	if err == nil && count > w.s.o.Most {
		err = tooMany(w.s.o.Most)
	}
	return count, err
}

func tooMany(most int) error {
	return fault.New(fault.Unprocessable, "There would be more than %d indicators; delete a feed first", most)
}

// items checks indicators and brings them into the form in which they are stored, each
// key once: the last one counts.
func items(all []NewIndicator, exact bool) ([]item, error) {
	kept := make([]item, 0, len(all))
	at := make(map[key]int, len(all))
	for _, n := range all {
		if err := n.check(exact); err != nil {
			return nil, err
		}
		i := item{string(n.Type), n.Value, n.ThreatName, n.Severity, n.Confidence, n.Description, database.Micros(n.Expires)}
		if place, known := at[i.key()]; known {
			kept[place] = i
			continue
		}
		at[i.key()] = len(kept)
		kept = append(kept, i)
	}
	return kept, nil
}
