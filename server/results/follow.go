package results

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"muster/server/database"
)

// Followed is what comes next in a log, in the order of ids.
type Followed[R any] struct {
	Rows []R
	// Next is where to go on: every row up to it is in Rows, was followed before, or
	// will never be there.
	Next Place
	// More is true when there is more already: rows that did not fit, or that wait for
	// a transaction to end. Full is true when it was the limits that ended it.
	More, Full bool
	// Missed is how many ids went by whose rows retention took before they were
	// followed. Ids that never became rows count too, if they lie among them.
	Missed int64
}

// Place is a place in a log: after the row with this id.
type Place struct {
	ID int64
	// At is when a row hereabouts arrived, if that is known: it spares looking for the
	// next one on every day that is kept, and changes nothing else.
	At time.Time
}

// HostStatus is a status message with the host that it is from.
type HostStatus struct {
	HostID int64
	StatusLog
}

// FollowLimit bounds what one call reads.
type FollowLimit struct {
	Rows  int // at least 1
	Bytes int // of columns, decorations and messages; the row that exceeds them is the last
}

// Follow returns the rows that come after a place, in the order of ids, none left out:
// what another transaction could still add in between is waited for by later calls
// (see database.Fence). Faults: Busy when the database does not answer in time.
func (s *Store) Follow(ctx context.Context, after Place, most FollowLimit) (Followed[Row], error) {
	return follow(ctx, s, resultsLog(), after, most)
}

// FollowStatus is Follow for status messages.
func (s *Store) FollowStatus(ctx context.Context, after Place, most FollowLimit) (Followed[HostStatus], error) {
	return follow(ctx, s, statusLog(), after, most)
}

// Ends is what a follower needs to know of a log.
type Ends struct {
	Oldest, Newest int64     // ids: of the oldest row there is (Newest+1 if none), and the newest handed out
	Waiting        int64     // ids after the one asked about, up to Newest; 0 when no row waits
	Since          time.Time // arrival of the first row that waits; the zero time when none does
}

// Ends tells where the log begins and ends, and what comes after an id.
func (s *Store) Ends(ctx context.Context, after int64) (Ends, error) {
	return ends(ctx, s, resultsLog(), after)
}

// StatusEnds is Ends for status messages.
func (s *Store) StatusEnds(ctx context.Context, after int64) (Ends, error) {
	return ends(ctx, s, statusLog(), after)
}

// followed is a log that can be followed.
type followed[R any] struct {
	table  string
	fence  func(*Store) *database.Fence
	fields string
	size   string // of a row in bytes, as SQL
	scan   func(*sql.Rows) (row R, seen seen, err error)
}

// seen is what following goes by of a row.
type seen struct {
	id    int64
	at    time.Time
	bytes int
}

func resultsLog() followed[Row] {
	return followed[Row]{
		table: "results", fence: func(s *Store) *database.Fence { return s.resultsFence }, fields: rowFields,
		size: "octet_length(columns) + octet_length(decorations)",
		scan: func(found *sql.Rows) (Row, seen, error) {
			row, err := scanRow(found)
			return row, seen{row.ID, row.ReceivedAt, len(row.Columns) + len(row.Decorations)}, err
		},
	}
}

func statusLog() followed[HostStatus] {
	return followed[HostStatus]{
		table: "status_logs", fence: func(s *Store) *database.Fence { return s.statusFence },
		fields: "id, host_id, severity, line, unix_time, received_at, filename, message, version, decorations",
		size:   "octet_length(message) + octet_length(decorations)",
		scan:   scanHostStatus,
	}
}

func scanHostStatus(found *sql.Rows) (row HostStatus, _ seen, err error) {
	var unix, received int64
	var decorations string
	err = found.Scan(&row.ID, &row.HostID, &row.Severity, &row.Line, &unix, &received, &row.Filename, &row.Message, &row.Version, &decorations)
	if decorations != "" {
		row.Decorations = json.RawMessage(decorations)
	}
	row.Time, row.ReceivedAt = time.Unix(unix, 0).UTC(), database.FromMicros(received)
	return row, seen{row.ID, row.ReceivedAt, len(row.Message) + len(decorations)}, err
}

func follow[R any](ctx context.Context, s *Store, log followed[R], after Place, most FollowLimit) (Followed[R], error) {
	passed, newest, err := log.fence(s).Passed(ctx)
	if err != nil || passed <= after.ID {
		return Followed[R]{Next: after, More: err == nil && newest > after.ID}, err
	}
	part, err := log.read(ctx, s, after, passed, most)
	if err == nil && !after.At.IsZero() && part.next.ID-after.ID != int64(len(part.rows)) {
		// Ids are missing: they may be of rows that arrived at quite another time.
		part, err = log.read(ctx, s, Place{ID: after.ID}, passed, most)
	}
	if err != nil {
		return Followed[R]{}, slowly(err)
	}
	found := Followed[R]{Rows: part.rows, Next: part.next, More: part.next.ID < newest, Full: part.full}
	if found.Next.At.IsZero() {
		found.Next.At = after.At
	}
	found.Missed, err = log.missed(ctx, s, after.ID, part.first)
	return found, err
}

// took is what one statement brought of a log.
type took[R any] struct {
	rows  []R
	first int64 // id of the first row, or the one after next if there is none
	next  Place
	full  bool // the limits were reached
}

// aside is how far the times of arrival of neighbours in the log may lie apart without
// a second look.
const aside = 24 * time.Hour

// read reads the rows after a place up to an id: as many as are allowed, and as many
// as begin within the bytes that are.
func (log followed[R]) read(ctx context.Context, s *Store, after Place, upTo int64, most FollowLimit) (found took[R], err error) {
	where, args := "id > ? AND id <= ?", []any{after.ID, upTo}
	if !after.At.IsZero() {
		where, args = where+" AND received_at >= ?", append(args, database.Micros(after.At.Add(-aside)))
	}
	statement := "SELECT " + log.fields + " FROM (SELECT part.*, sum(" + log.size + ") OVER (ORDER BY id) - (" + log.size + ") AS bytes_before" +
		" FROM (SELECT " + log.fields + " FROM " + log.table + " WHERE " + where + " ORDER BY id LIMIT ?) AS part) AS sized" +
		" WHERE bytes_before < ? ORDER BY id"
	bytes := 0
	err = s.reading(ctx, statementTime, func(tx *gorm.DB) error {
		return each(tx.Raw(statement, append(args, most.Rows, max(most.Bytes, 1))...), func(rows *sql.Rows) error {
			row, saw, err := log.scan(rows)
			if len(found.rows) == 0 {
				found.first = saw.id
			}
			found.rows, found.next, bytes = append(found.rows, row), Place{saw.id, saw.at}, bytes+saw.bytes
			return err
		})
	})
	if found.full = len(found.rows) >= most.Rows || bytes >= most.Bytes; !found.full {
		found.next.ID = upTo
	}
	if len(found.rows) == 0 {
		found.first = upTo + 1
	}
	return found, err
}

// missed counts the ids between after and the first row that came, if nothing is left
// before them either: retention deletes the oldest.
func (log followed[R]) missed(ctx context.Context, s *Store, after, first int64) (int64, error) {
	if first <= after+1 {
		return 0, nil
	}
	var before []int64
	err := s.reading(ctx, statementTime, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id FROM "+log.table+" WHERE id <= ? ORDER BY id DESC LIMIT 1", after).Scan(&before).Error
	})
	if err != nil || len(before) > 0 {
		return 0, slowly(err)
	}
	return first - after - 1, nil
}

func ends[R any](ctx context.Context, s *Store, log followed[R], after int64) (Ends, error) {
	_, newest, err := log.fence(s).Passed(ctx)
	if err != nil {
		return Ends{}, err
	}
	var oldest []int64
	var waiting []int64
	err = s.reading(ctx, statementTime, func(tx *gorm.DB) error {
		if err := tx.Raw("SELECT id FROM " + log.table + " ORDER BY id LIMIT 1").Scan(&oldest).Error; err != nil {
			return err
		}
		return tx.Raw("SELECT received_at FROM "+log.table+" WHERE id > ? ORDER BY id LIMIT 1", after).Scan(&waiting).Error
	})
	if err != nil {
		return Ends{}, slowly(err)
	}
	found := Ends{Oldest: newest + 1, Newest: newest}
	if len(oldest) > 0 {
		found.Oldest = oldest[0]
	}
	if len(waiting) > 0 {
		found.Waiting, found.Since = max(newest-after, 1), database.FromMicros(waiting[0])
	}
	return found, nil
}
