package alerts

import (
	"context"
	"time"

	"muster/server/database"
)

// Followed is what comes next among the alerts, in the order of ids.
type Followed struct {
	Alerts []Alert
	// Next is where to go on: every alert up to this id is in Alerts, was followed
	// before, or will never be there.
	Next int64
	// More: there are more already. Full: it was the limits that ended it.
	More, Full bool
	// Missed is how many ids have no alert any more, or never had one.
	Missed int64
}

// followSize is about how many bytes an alert has.
const followSize = "octet_length(a.message) + octet_length(a.why) + octet_length(a.source_data)"

// Follow returns the alerts that were raised after the one with an id, as they are
// now: not more than so many, nor more than begin within so many bytes. None is left
// out: what another transaction could still add in between is waited for by later
// calls (see database.Fence). Faults: Busy, Internal.
func (s *Store) Follow(ctx context.Context, after int64, most, bytes int) (Followed, error) {
	passed, newest, err := s.fence.Passed(ctx)
	if err != nil || passed <= after {
		return Followed{Next: after, More: err == nil && newest > after}, err
	}
	var rows []alertRow
	err = s.db.Read(ctx).Raw("SELECT "+alertFields+" FROM alerts a JOIN (SELECT id, sum(size) OVER (ORDER BY id) - size AS bytes_before"+
		" FROM (SELECT a.id, "+followSize+" AS size FROM alerts a WHERE a.id > ? AND a.id <= ? ORDER BY a.id LIMIT ?) AS part) AS sized ON sized.id = a.id"+
		" WHERE sized.bytes_before < ? ORDER BY a.id", after, passed, most, max(bytes, 1)).Scan(&rows).Error
	if err != nil {
		return Followed{}, database.Fault(err)
	}
	found, size := Followed{Alerts: make([]Alert, 0, len(rows)), Next: passed}, 0
	for _, row := range rows {
		found.Alerts = append(found.Alerts, row.alert())
		size += len(row.Message) + len(row.Why) + len(row.SourceData)
	}
	if found.Full = len(rows) > 0 && (len(rows) >= most || size >= bytes); found.Full {
		found.Next = rows[len(rows)-1].ID
	}
	found.More, found.Missed = found.Next < newest, found.Next-after-int64(len(rows))
	return found, nil
}

// Ends tells the ids of the oldest alert (newest+1 if there is none) and of the newest
// that was raised, and when the first after an id was raised; the zero time when
// there is none.
func (s *Store) Ends(ctx context.Context, after int64) (oldest, newest int64, since time.Time, err error) {
	if _, newest, err = s.fence.Passed(ctx); err != nil {
		return 0, 0, time.Time{}, err
	}
	var first, waiting []int64
	if err = s.db.Read(ctx).Raw("SELECT id FROM alerts ORDER BY id LIMIT 1").Scan(&first).Error; err == nil {
		err = s.db.Read(ctx).Raw("SELECT created_at FROM alerts WHERE id > ? ORDER BY id LIMIT 1", after).Scan(&waiting).Error
	}
	if oldest = newest + 1; len(first) > 0 {
		oldest = first[0]
	}
	if len(waiting) > 0 {
		since = database.FromMicros(waiting[0])
	}
	return oldest, newest, since, database.Fault(err)
}
