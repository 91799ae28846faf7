package carves

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// Carve is one carve as it was when it was read.
type Carve struct {
	ID, HostID     int64
	SessionID      string
	GUID           string // osquery's carve_guid, as the agent wrote it
	RequestID      string
	QueryID        int64 // the live query that asked for it; 0 when none is known to have
	Size           int64 // bytes, as announced at the start
	BlockSize      int64
	BlockCount     int64
	ReceivedBlocks int64
	Status         Status
	Format         Format // known once completed
	Archive        string // file name to offer for download; empty until completed
	SHA256         string // of the archive, lower case hex; empty until completed
	Error          string // what is wrong with it, for people
	CreatedAt      time.Time
	UpdatedAt      time.Time
	EndedAt        time.Time // completed or given up; zero while open
}

// carveRow is a row of the table carves.
type carveRow struct {
	ID, HostID                        int64
	SessionID, CarveGUID, RequestID   string
	QueryID                           int64
	CarveSize, BlockSize              int64
	BlockCount, ReceivedBlocks        int64
	Status, Format, Archive, Error    string
	SHA256                            string `gorm:"column:sha256"`
	CreatedAt, UpdatedAt, CompletedAt int64
}

const columns = `c.id AS id, c.host_id AS host_id, c.session_id AS session_id, c.carve_guid AS carve_guid, c.request_id AS request_id,
	c.query_id AS query_id, c.carve_size AS carve_size, c.block_size AS block_size, c.block_count AS block_count,
	c.received_blocks AS received_blocks, c.status AS status, c.format AS format, c.archive AS archive, c.sha256 AS sha256,
	c.error AS error, c.created_at AS created_at, c.updated_at AS updated_at, c.completed_at AS completed_at`

func (r carveRow) carve() *Carve {
	return &Carve{
		ID: r.ID, HostID: r.HostID, SessionID: r.SessionID, GUID: r.CarveGUID, RequestID: r.RequestID, QueryID: r.QueryID,
		Size: r.CarveSize, BlockSize: r.BlockSize, BlockCount: r.BlockCount, ReceivedBlocks: r.ReceivedBlocks,
		Status: Status(r.Status), Format: Format(r.Format), Archive: r.Archive, SHA256: r.SHA256, Error: r.Error,
		CreatedAt: database.FromMicros(r.CreatedAt), UpdatedAt: database.FromMicros(r.UpdatedAt), EndedAt: database.FromMicros(r.CompletedAt),
	}
}

// Find returns the carve of a session. Spaces around the id do not matter (the
// API's document shows one). Faults: NotFound.
func (s *Store) Find(ctx context.Context, sessionID string) (*Carve, error) {
	return s.find(ctx, "c.session_id = ?", strings.TrimSpace(sessionID))
}

// FindByQuery returns the newest carve of a host that a live query asked for.
// Faults: NotFound.
func (s *Store) FindByQuery(ctx context.Context, hostID, queryID int64) (*Carve, error) {
	var rows []carveRow
	// One host has few carves: the index on the host finds them.
	if err := s.db.Read(ctx).Raw("SELECT "+columns+" FROM carves c WHERE c.host_id = ? AND c.query_id = ? ORDER BY c.id DESC LIMIT 1",
		hostID, queryID).Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	if len(rows) == 0 {
		return nil, errNotStarted
	}
	return rows[0].carve(), nil
}

// FindByID returns a carve. Faults: NotFound.
func (s *Store) FindByID(ctx context.Context, id int64) (*Carve, error) {
	return s.find(ctx, "c.id = ?", id)
}

func (s *Store) find(ctx context.Context, where string, arg any) (*Carve, error) {
	if text, ok := arg.(string); ok && !storable(text) {
		return nil, errUnknown
	}
	var rows []carveRow
	if err := s.db.Read(ctx).Raw("SELECT "+columns+" FROM carves c WHERE "+where, arg).Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	if len(rows) == 0 {
		return nil, errUnknown
	}
	return rows[0].carve(), nil
}

var (
	errUnknown    = fault.New(fault.NotFound, "This session id does not exist")
	errNotStarted = fault.New(fault.NotFound, "Carve not started")
)

// Open returns the archive of a completed carve, for reading at any place, and
// what is known of it. The caller closes it. Faults: NotFound when there is no
// such carve or its file is gone, Conflict when it is not complete.
func (s *Store) Open(ctx context.Context, sessionID string) (*os.File, *Carve, error) {
	carve, err := s.Find(ctx, sessionID)
	if err != nil {
		return nil, nil, err
	}
	if carve.Status != Completed {
		return nil, nil, fault.New(fault.Conflict, "The carve is not complete (%s)", carve.Status)
	}
	file, err := os.Open(s.path(carve.ID, carve.Format.extension()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.Wrap(err, fault.NotFound, "The carve's file is gone")
	}
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Internal, "The carve's file cannot be read")
	}
	return file, carve, nil
}

// Delete removes a carve, whatever its status, and its file. Blocks that still
// arrive for it are refused. Faults: NotFound.
func (s *Store) Delete(ctx context.Context, sessionID string) error {
	carve, err := s.Find(ctx, sessionID)
	if err != nil {
		return err
	}
	// The file goes first: a failure in between leaves a row that can be deleted
	// again, not bytes that nobody knows of.
	if err := s.remove(carve.ID); err != nil {
		return err
	}
	defer s.sessions.forget(carve.SessionID)
	return database.Fault(s.db.Write(ctx).Exec("DELETE FROM carves WHERE id = ?", carve.ID).Error)
}
