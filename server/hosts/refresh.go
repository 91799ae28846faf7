package hosts

import (
	"context"
	"time"

	"muster/server/database"
)

// How far behind the newest version seen a refresh looks: longer than a
// transaction takes and than the clocks of replicas differ. A hint comes often,
// so it looks back a little; the poll catches what that missed.
const (
	hintOverlap = 10 * time.Second
	pollOverlap = 5 * time.Minute
	// hintPause lets hints gather, so that an enrolment storm is not a query each.
	hintPause = 100 * time.Millisecond
	loadChunk = 2000
	// pollsPerSweep is how many polls there are to one comparison of all versions.
	pollsPerSweep = 20
)

// loadAll fills the memory, in pages by id.
func (s *Store) loadAll(ctx context.Context) error {
	for last := int64(0); ; {
		var rows []hostRow
		if err := s.db.Read(ctx).Raw("SELECT "+hostColumns+" FROM hosts WHERE id > ? ORDER BY id LIMIT ?",
			last, loadChunk).Scan(&rows).Error; err != nil {
			return database.Fault(err)
		}
		records, err := withRelations(ctx, s.db, rows)
		if err != nil {
			return err
		}
		s.reg.install(records)
		if len(rows) < loadChunk {
			return nil
		}
		last = rows[len(rows)-1].ID
	}
}

// refresh reads the hosts that changed lately: only ids and versions, and the
// whole of those that are not shown yet.
func (s *Store) refresh(ctx context.Context, overlap time.Duration) error {
	return s.refreshSince(ctx, min(s.reg.newestSeen(), s.Now().UnixMicro())-overlap.Microseconds())
}

func (s *Store) refreshSince(ctx context.Context, since int64) error {
	var versions []struct{ ID, UpdatedAt int64 }
	if err := s.db.Read(ctx).Raw("SELECT id, updated_at FROM hosts WHERE updated_at > ?", since).Scan(&versions).Error; err != nil {
		return database.Fault(err)
	}
	var stale []int64
	for _, v := range versions {
		if s.reg.version(v.ID) < v.UpdatedAt {
			stale = append(stale, v.ID)
		}
	}
	_, err := s.fetch(ctx, stale)
	return err
}

// fetch reads hosts and shows them, unless the transaction that it reads in may
// still be undone.
func (s *Store) fetch(ctx context.Context, ids []int64) ([]record, error) {
	records, err := readHosts(ctx, s.db, ids)
	if err != nil {
		return nil, err
	}
	if !s.db.InTx() {
		s.reg.install(records)
	}
	return records, nil
}

// poll is the look at the database that needs no hint. Now and then it compares
// every version, for the sake of a replica whose clock is far behind.
func (s *Store) poll(ctx context.Context, round int) error {
	err := error(nil)
	if round%pollsPerSweep == 0 {
		err = s.refreshSince(ctx, 0)
	} else {
		err = s.refresh(ctx, pollOverlap)
	}
	if err != nil {
		return err
	}
	if s.db.Engine() == database.Postgres {
		return s.learnContacts(ctx)
	}
	return nil
}

// learnContacts takes over what other replicas heard from hosts, since writing a
// contact does not raise a row's version.
func (s *Store) learnContacts(ctx context.Context) error {
	since := s.Now().Add(-OnlineWindow).UnixMicro()
	var rows []hostRow
	if err := s.db.Read(ctx).Raw(`SELECT id, last_ip, last_checkin, last_status, last_result, last_config,
		last_query_read, last_query_write FROM hosts WHERE last_checkin > ?`, since).Scan(&rows).Error; err != nil {
		return database.Fault(err)
	}
	for _, row := range rows {
		if e := s.reg.get(row.ID); e != nil {
			e.contacts.learn(row.times(), row.LastIP)
		}
	}
	return nil
}
