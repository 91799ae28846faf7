package carves

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"muster/server/fault"
)

// Block is one block as an agent sends it, decoded.
type Block struct {
	SessionID string
	RequestID string // as in the start; not compared when either is empty
	ID        int64  // from 0
	Data      []byte // not kept after Block returns
	HostID    int64  // the host that authenticated; 0 when the agent is too old to (below 5.23)
}

// write is a block on its way to disk and table.
type write struct {
	session   *session
	block     int64
	file      *os.File      // open until the write is settled
	done      chan struct{} // closed when settled
	err       error         // valid once done
	completed bool          // valid once done: this was the last block, finish the carve
}

// notStored is the public sentence when a block's bytes cannot be written.
const notStored = "The block cannot be stored"

// Block stores one block of a carve. Blocks may come in any order, at the same
// time, and again; when Block returns nil the block survives a power cut. The last
// one completes the carve: at once when it is small, else Run does.
//
// Faults: NotFound for a session that does not exist or takes no more blocks,
// Unauthenticated when it belongs to another host or request, Invalid for a block
// id or size that does not fit the start, Busy or Internal when storage fails:
// the agent should send it again.
func (s *Store) Block(ctx context.Context, b Block) error {
	session, err := s.session(ctx, b.SessionID)
	if err != nil {
		return err
	}
	if err := session.check(b); err != nil {
		return err
	}
	mine, theirs, err := session.claim(b.ID)
	switch {
	case err != nil:
		return err
	case theirs != nil:
		<-theirs.done
		return theirs.err
	case mine == nil:
		return nil
	}
	if err := s.put(mine, b.Data); err != nil {
		session.settle(mine, err)
		return s.missing(ctx, session, err)
	}
	s.commits.add(mine)
	<-mine.done // not ctx: what is written is wanted, and the commit has a deadline of its own
	if mine.completed {
		s.complete(ctx, session)
	}
	return mine.err
}

func (s *session) check(b Block) error {
	switch {
	case b.HostID != 0 && b.HostID != s.hostID,
		b.RequestID != "" && s.requestID != "" && b.RequestID != s.requestID:
		return fault.New(fault.Unauthenticated, "The session belongs to another host or request")
	case b.ID < 0 || b.ID >= s.blockSpan:
		return fault.New(fault.Invalid, "block_id %d is not one of %d blocks", b.ID, s.blockSpan)
	case int64(len(b.Data)) != s.blockLength(b.ID):
		return fault.New(fault.Invalid, "block %d must hold %d bytes, not %d", b.ID, s.blockLength(b.ID), len(b.Data))
	}
	return nil
}

// put writes a block into the carve's file, where others may be writing theirs.
func (s *Store) put(w *write, data []byte) error {
	file, err := os.OpenFile(s.path(w.session.carveID, partExtension), os.O_WRONLY, 0)
	if err != nil {
		return fault.Wrap(err, fault.Busy, notStored)
	}
	w.file = file
	if _, err := file.WriteAt(data, w.block*w.session.blockSize); err != nil {
		return fault.Wrap(err, fault.Busy, notStored)
	}
	return nil
}

// missing looks again at a session whose file is not there: it may have been
// completed or ended elsewhere.
func (s *Store) missing(ctx context.Context, known *session, cause error) error {
	if !errors.Is(cause, fs.ErrNotExist) {
		return cause
	}
	s.sessions.forget(known.id)
	fresh, err := s.session(ctx, known.id)
	switch {
	case err != nil:
		return err
	case fresh.phase == full:
		return nil
	case fresh.phase == over:
		return errUnknown
	}
	return cause
}

// complete finishes a carve whose blocks are all there, or has Run do it when it
// is too large for an agent's request.
func (s *Store) complete(ctx context.Context, session *session) {
	if session.size >= s.options.InlineSize {
		s.wakeWorker()
		return
	}
	s.finishNow(ctx, session.carveID)
}
