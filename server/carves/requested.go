package carves

import (
	"context"

	"muster/server/database"
	"muster/server/fault"
)

// lockStarts makes starts and requests follow one another: they decide by what
// the others wrote. On SQLite every writing transaction is alone already.
func lockStarts(ctx context.Context, tx *database.DB) error {
	if tx.Engine() != database.Postgres {
		return nil
	}
	const key = 0x6361727665 // "carve"
	return tx.Write(ctx).Exec("SELECT pg_advisory_xact_lock(?)", key).Error
}

// Requested notes that a live query asked a host for the carve with this guid:
// call it for the row with carve = 1 of an answer. It may come before or after
// the carve starts, and again; the first query stays. Faults: Invalid for a guid
// that no agent would send.
func (s *Store) Requested(ctx context.Context, hostID int64, guid string, queryID int64) error {
	if guid == "" || len(guid) > maxGUID || !storable(guid) {
		return fault.New(fault.Invalid, "carve_guid must be text of 1 to %d bytes", maxGUID)
	}
	return s.db.Tx(ctx, func(tx *database.DB) error {
		if err := lockStarts(ctx, tx); err != nil {
			return err
		}
		err := tx.Write(ctx).Exec("INSERT INTO carve_requests (host_id, carve_guid, query_id, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (host_id, carve_guid) DO NOTHING",
			hostID, guid, queryID, s.now()).Error
		if err != nil {
			return err
		}
		return tx.Write(ctx).Exec("UPDATE carves SET query_id = ? WHERE host_id = ? AND carve_guid = ? AND query_id = 0", queryID, hostID, guid).Error
	})
}
