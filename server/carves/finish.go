package carves

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// finishNow finishes a carve in the request that brought its last byte, even if
// the agent hangs up. What fails is left to Run.
func (s *Store) finishNow(ctx context.Context, id int64) {
	if err := s.finish(context.WithoutCancel(ctx), id); err != nil {
		s.log.Warn("a carve is not finished yet", "carve_id", id, "error", err)
		s.wakeWorker()
	}
}

// finishAll finishes every carve whose blocks are all there: those too large for
// a request, those that failed before, those that a restart interrupted.
func (s *Store) finishAll(ctx context.Context) {
	var waiting []struct{ ID, UpdatedAt int64 }
	err := s.db.Read(ctx).Raw("SELECT id, updated_at FROM carves WHERE completed_at = 0 AND status = ? ORDER BY id", Building).Scan(&waiting).Error
	if err != nil && ctx.Err() == nil {
		s.log.Error("the carves to finish cannot be listed", "error", err)
	}
	for _, carve := range waiting {
		err := s.finish(ctx, carve.ID)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		s.log.Error("a carve cannot be finished: it is tried again", "carve_id", carve.ID, "error", err)
		if s.now()-carve.UpdatedAt > s.options.TotalTimeout.Microseconds() {
			if err := s.fail(ctx, carve.ID, "The archive could not be finished; the server's log says why"); err != nil {
				s.log.Error("a carve cannot be given up", "carve_id", carve.ID, "error", err)
			}
		}
	}
}

// errDamaged is a definite failure: trying again cannot help.
type errDamaged string

func (e errDamaged) Error() string { return string(e) }

// finish checks a carve whose blocks are all there and makes its archive
// available. Done already, deleted, or being done by another goroutine: nothing
// happens. It can be interrupted anywhere and done again.
func (s *Store) finish(ctx context.Context, id int64) error {
	if _, busy := s.finishing.LoadOrStore(id, nil); busy {
		return nil
	}
	defer s.finishing.Delete(id)
	carve, err := s.find(ctx, "c.id = ?", id)
	if fault.Is(err, fault.NotFound) || err == nil && carve.Status != Building {
		return nil
	}
	if err != nil {
		return err
	}
	format, sum, err := s.inspect(ctx, carve)
	var damaged errDamaged
	if errors.As(err, &damaged) {
		return s.fail(ctx, id, damaged.Error())
	}
	if err != nil {
		return err
	}
	if err := s.publish(id, format.extension()); err != nil {
		return fault.Wrap(err, fault.Internal, "The carve's file cannot be renamed")
	}
	return s.end(ctx, id, Completed, map[string]string{
		"format": string(format), "sha256": sum, "archive": archiveName(carve.SessionID, carve.GUID, format), "error": format.problem(),
	})
}

// inspect reads the whole file of a carve: what it is and what it hashes to.
func (s *Store) inspect(ctx context.Context, carve *Carve) (Format, string, error) {
	file, err := s.whole(carve.ID)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", "", fault.Wrap(err, fault.Internal, "The carve's file cannot be read")
	}
	if info.Size() != carve.Size {
		return "", "", errDamaged(fmt.Sprintf("The file has %d bytes on disk, not %d", info.Size(), carve.Size))
	}
	format, err := detect(file, carve.Size)
	if err != nil {
		return "", "", fault.Wrap(err, fault.Internal, "The carve's file cannot be read")
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, bounded{ctx: ctx, from: file, left: new(carve.Size + 1)}, make([]byte, 1<<20)); err != nil {
		return "", "", fault.Wrap(err, fault.Internal, "The carve's file cannot be read")
	}
	return format, hex.EncodeToString(hash.Sum(nil)), nil
}

// whole opens the file of a carve that has all its blocks: under its final name
// when a restart came after the renaming.
func (s *Store) whole(id int64) (*os.File, error) {
	for _, extension := range []string{partExtension, FormatTar.extension(), FormatZstd.extension(), FormatUnknown.extension()} {
		file, err := os.Open(s.path(id, extension))
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Wrap(err, fault.Internal, "The carve's file cannot be read")
		}
	}
	// It may be on another replica's disk, or the disk may not be mounted: no
	// verdict until the time for finishing is over.
	return nil, fault.New(fault.Busy, "The carve's file is not on this machine")
}

// fail gives up a carve that had all its blocks.
func (s *Store) fail(ctx context.Context, id int64, problem string) error {
	if err := s.end(ctx, id, Failed, map[string]string{"error": problem}); err != nil {
		return err
	}
	s.log.Error("a carve failed", "carve_id", id, "problem", problem)
	return s.remove(id)
}

// end turns a carve that is being built into what it became.
func (s *Store) end(ctx context.Context, id int64, status Status, values map[string]string) error {
	var ended int64
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		now := s.now()
		updated := tx.Write(ctx).Exec("UPDATE carves SET status = ?, format = ?, sha256 = ?, archive = ?, error = ?, updated_at = ?, completed_at = ? WHERE id = ? AND status = ?",
			status, values["format"], values["sha256"], values["archive"], values["error"], now, now, id, Building)
		if updated.Error != nil || updated.RowsAffected == 0 {
			return updated.Error
		}
		ended = updated.RowsAffected
		return tx.Write(ctx).Exec("DELETE FROM carve_blocks WHERE carve_id = ?", id).Error
	})
	if err != nil || ended > 0 {
		return err
	}
	// Somebody was faster. If it was a deletion, the file may have come after it.
	if _, err := s.find(ctx, "c.id = ?", id); fault.Is(err, fault.NotFound) {
		return s.remove(id)
	}
	return nil
}

// Run finishes large carves, resumes what a restart interrupted, expires sessions
// and purges, until ctx ends. Every replica runs it.
func (s *Store) Run(ctx context.Context) {
	often, hourly := time.NewTicker(30*time.Second), time.NewTicker(time.Hour)
	defer often.Stop()
	defer hourly.Stop()
	s.finishAll(ctx)
	s.attempt(ctx, "expire", s.Expire)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-often.C:
			s.attempt(ctx, "expire", s.Expire)
		case <-hourly.C:
			s.attempt(ctx, "purge", s.Purge)
		}
		s.finishAll(ctx)
	}
}

func (s *Store) attempt(ctx context.Context, name string, work func(context.Context) error) {
	if err := work(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("work on carves failed: it is tried again", "work", name, "error", err)
	}
}
