package carves

import (
	"context"
	"errors"
	"fmt"

	"muster/server/database"
)

// Expire ends the sessions that got no block for Options.IdleTimeout, or that
// began Options.TotalTimeout ago: their rows say how many blocks are missing,
// their bytes are removed, and blocks that still come are refused. (Agents below
// 5.22 skip a block that failed and call it a success: holes show here.)
func (s *Store) Expire(ctx context.Context) error {
	now := s.now()
	var due []carveRow
	err := s.db.Read(ctx).Raw("SELECT "+columns+` FROM carves c WHERE c.completed_at = 0 AND c.status IN (?, ?)
		AND (c.updated_at <= ? OR c.created_at <= ?)`,
		Initialized, InProgress, now-s.options.IdleTimeout.Microseconds(), now-s.options.TotalTimeout.Microseconds()).Scan(&due).Error
	if err != nil {
		return database.Fault(err)
	}
	var failures []error
	for _, row := range due {
		if err := s.expire(ctx, row); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (s *Store) expire(ctx context.Context, row carveRow) error {
	problem := fmt.Sprintf("%d of %d blocks are missing", row.BlockCount-row.ReceivedBlocks, row.BlockCount)
	var ended int64
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		now := s.now()
		// The time of the last block is compared: one may have come since.
		updated := tx.Write(ctx).Exec("UPDATE carves SET status = ?, error = ?, updated_at = ?, completed_at = ? WHERE id = ? AND status = ? AND updated_at = ?",
			Expired, problem, now, now, row.ID, row.Status, row.UpdatedAt)
		if updated.Error != nil || updated.RowsAffected == 0 {
			return updated.Error
		}
		ended = updated.RowsAffected
		return tx.Write(ctx).Exec("DELETE FROM carve_blocks WHERE carve_id = ?", row.ID).Error
	})
	if err != nil || ended == 0 {
		return err
	}
	s.sessions.forget(row.SessionID)
	s.log.Warn("a carve expired", "carve_id", row.ID, "host_id", row.HostID, "problem", problem)
	return s.remove(row.ID)
}

// Purge removes what is past its time: rows of carves that never completed after
// Options.KeepFailed, completed carves with their files after Options.KeepComplete
// (unless 0), requests that no carve followed, and partial files that a crash left.
func (s *Store) Purge(ctx context.Context) error {
	failed, now := s.now()-s.options.KeepFailed.Microseconds(), s.now()
	write := s.db.Write(ctx)
	failures := []error{
		database.Fault(write.Exec("DELETE FROM carves WHERE completed_at > 0 AND completed_at < ? AND status <> ?", failed, Completed).Error),
		database.Fault(write.Exec("DELETE FROM carve_requests WHERE created_at < ?", failed).Error),
		s.purgeParts(ctx),
	}
	if s.options.KeepComplete > 0 {
		var old []string
		err := s.db.Read(ctx).Raw("SELECT session_id FROM carves WHERE completed_at > 0 AND completed_at < ? AND status = ?",
			now-s.options.KeepComplete.Microseconds(), Completed).Scan(&old).Error
		failures = append(failures, database.Fault(err))
		for _, sessionID := range old {
			failures = append(failures, s.Delete(ctx, sessionID))
		}
	}
	return errors.Join(failures...)
}

// purgeParts removes partial files of carves that take no more blocks. A row is
// always committed before its file is made, so the files are listed first.
func (s *Store) purgeParts(ctx context.Context) error {
	parts, err := s.parts()
	if err != nil || len(parts) == 0 {
		return err
	}
	var ids []int64
	if err := s.db.Read(ctx).Raw("SELECT id FROM carves WHERE completed_at = 0").Scan(&ids).Error; err != nil {
		return database.Fault(err)
	}
	wanted := map[int64]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	for _, id := range parts {
		if !wanted[id] {
			s.removeOrLog(id)
		}
	}
	return nil
}
