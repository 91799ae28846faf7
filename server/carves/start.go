package carves

import (
	"context"
	"crypto/rand"
	"strings"
	"unicode/utf8"

	"muster/server/database"
	"muster/server/fault"
)

// Start is what an agent announces: the body of osquery's carve start.
type Start struct {
	GUID       string // carve_id
	RequestID  string
	Size       int64 // bytes
	BlockSize  int64
	BlockCount int64
}

// maxGUID and maxRequestID bound names that agents choose; both are UUIDs in practice.
const (
	maxGUID      = 128
	maxRequestID = 256
)

// storable says whether both engines keep text unchanged.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

func (s *Store) check(start Start) error {
	o := s.options
	switch {
	case start.GUID == "" || len(start.GUID) > maxGUID || !storable(start.GUID):
		return fault.New(fault.Invalid, "carve_id must be text of 1 to %d bytes", maxGUID)
	case len(start.RequestID) > maxRequestID || !storable(start.RequestID):
		return fault.New(fault.Invalid, "request_id must be text of at most %d bytes", maxRequestID)
	case start.Size < 0 || start.Size > o.MaxSize:
		return fault.New(fault.Invalid, "carve_size must be 0 to %d bytes", o.MaxSize)
	case start.BlockSize < 1 || start.BlockSize > o.MaxBlock:
		return fault.New(fault.Invalid, "block_size must be 1 to %d bytes", o.MaxBlock)
	case start.BlockCount < 0 || start.BlockCount > o.MaxBlocks:
		return fault.New(fault.Invalid, "block_count must be 0 to %d", o.MaxBlocks)
	case start.BlockCount != blocks(start.Size, start.BlockSize):
		return fault.New(fault.Invalid, "block_count must be carve_size / block_size, rounded up: %d", blocks(start.Size, start.BlockSize))
	}
	return nil
}

// blocks is how many blocks a carve has. Neither bound of Options lets it overflow.
func blocks(size, blockSize int64) int64 { return (size + blockSize - 1) / blockSize }

// Start opens a session for a carve of a host and returns its id, 128 random
// bits or more in letters and digits. A carve that the host started before under
// the same guid and did not finish is abandoned: the agent begins anew. A carve
// of no bytes is complete at once.
//
// Faults: Invalid when the numbers do not fit together or exceed the bounds,
// TooMany when the host has too many carves open, Busy when the disk or the
// quota is full or storage fails for now.
func (s *Store) Start(ctx context.Context, hostID int64, start Start) (sessionID string, err error) {
	if err := s.check(start); err != nil {
		return "", err
	}
	free, err := s.free()
	if err != nil {
		return "", err
	}
	sessionID = rand.Text()
	var opened opening
	err = s.db.Tx(ctx, func(tx *database.DB) (err error) {
		if err = lockStarts(ctx, tx); err != nil {
			return err
		}
		if opened.abandoned, err = s.abandon(ctx, tx, hostID, start.GUID); err != nil {
			return err
		}
		if err = s.room(ctx, tx, hostID, start.Size, free); err != nil {
			return err
		}
		opened.id, err = s.insert(ctx, tx, hostID, sessionID, start)
		return err
	})
	if err != nil {
		return "", err
	}
	for _, old := range opened.abandoned {
		s.sessions.forget(old.SessionID)
		s.removeOrLog(old.ID)
	}
	if err := s.createPart(opened.id); err != nil {
		// Unless this fails too, a session without a file is gone; else it expires.
		_ = s.db.Write(context.WithoutCancel(ctx)).Exec("DELETE FROM carves WHERE id = ?", opened.id).Error
		return "", err
	}
	if start.Size == 0 {
		s.finishNow(ctx, opened.id)
	}
	return sessionID, nil
}

// opening is what a start did to the table.
type opening struct {
	id        int64
	abandoned []carveRow
}

// abandon ends what the host has open under this guid.
func (s *Store) abandon(ctx context.Context, tx *database.DB, hostID int64, guid string) ([]carveRow, error) {
	var ended []carveRow
	now := s.now()
	err := tx.Write(ctx).Raw(`UPDATE carves SET status = ?, error = ?, updated_at = ?, completed_at = ?
		WHERE host_id = ? AND carve_guid = ? AND completed_at = 0 AND status IN (?, ?) RETURNING id, session_id`,
		Abandoned, "The agent started this carve anew", now, now, hostID, guid, Initialized, InProgress).Scan(&ended).Error
	for _, old := range ended {
		if err == nil {
			err = tx.Write(ctx).Exec("DELETE FROM carve_blocks WHERE carve_id = ?", old.ID).Error
		}
	}
	return ended, err
}

func (s *Store) insert(ctx context.Context, tx *database.DB, hostID int64, sessionID string, start Start) (id int64, err error) {
	status := Initialized
	if start.BlockCount == 0 {
		status = Building
	}
	now := s.now()
	err = tx.Write(ctx).Raw(`INSERT INTO carves (host_id, session_id, carve_guid, request_id, query_id, carve_size, block_size, block_count, status, created_at, updated_at)
		VALUES (?, ?, ?, ?, coalesce((SELECT query_id FROM carve_requests WHERE host_id = ? AND carve_guid = ?), 0), ?, ?, ?, ?, ?, ?) RETURNING id`,
		hostID, sessionID, start.GUID, start.RequestID, hostID, start.GUID,
		start.Size, start.BlockSize, start.BlockCount, status, now, now).Scan(&id).Error
	return id, err
}

// room checks the limits of a host and of the store for size more bytes.
func (s *Store) room(ctx context.Context, tx *database.DB, hostID, size, free int64) error {
	var open int
	err := tx.Read(ctx).Raw("SELECT count(*) FROM carves WHERE host_id = ? AND completed_at = 0", hostID).Scan(&open).Error
	if err != nil {
		return err
	}
	if open >= s.options.OpenPerHost {
		return fault.New(fault.TooMany, "The host has %d carves open already", open)
	}
	var expected int64 // bytes that open sessions will still write
	err = tx.Read(ctx).Raw("SELECT CAST(coalesce(sum(carve_size - received_blocks * block_size), 0) AS bigint) FROM carves WHERE completed_at = 0 AND status <> ?", Building).Scan(&expected).Error
	if err != nil {
		return err
	}
	if free-expected-size < s.options.MinFree {
		return fault.New(fault.Busy, "The disk for carves is full")
	}
	if s.options.Quota == 0 {
		return nil
	}
	var used int64
	err = tx.Read(ctx).Raw("SELECT CAST(coalesce(sum(carve_size), 0) AS bigint) FROM carves WHERE completed_at = 0 OR status = ?", Completed).Scan(&used).Error
	if err == nil && used+size > s.options.Quota {
		return fault.New(fault.Busy, "The quota for carves is used up")
	}
	return err
}
