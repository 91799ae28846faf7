package carves

import (
	"context"
	"sync"

	"muster/server/database"
)

// phase is what a session does with blocks.
type phase int

const (
	open phase = iota // takes them
	full              // has them all: another copy is welcome and ignored
	over              // refuses them
)

func phaseOf(status Status) phase {
	switch status {
	case Initialized, InProgress:
		return open
	case Building, Completed:
		return full
	}
	return over
}

// session is what is kept in memory of a carve, so that a block costs no read.
// The table has the last word when a block's row commits.
type session struct {
	id                         string
	carveID, hostID            int64
	requestID                  string
	size, blockSize, blockSpan int64 // blockSpan: how many blocks

	mu      sync.Mutex
	phase   phase
	have    []uint64         // bit per block whose row is committed
	writing map[int64]*write // blocks on their way to the disk
}

func newSession(c *Carve) *session {
	s := &session{
		id: c.SessionID, carveID: c.ID, hostID: c.HostID, requestID: c.RequestID,
		size: c.Size, blockSize: c.BlockSize, blockSpan: c.BlockCount, phase: phaseOf(c.Status),
	}
	if s.phase == open {
		s.have, s.writing = make([]uint64, (c.BlockCount+63)/64), map[int64]*write{}
	}
	return s
}

// blockLength is the exact size of a block.
func (s *session) blockLength(block int64) int64 {
	return min(s.blockSize, s.size-block*s.blockSize)
}

func (s *session) mark(block int64) { s.have[block/64] |= 1 << (block % 64) }

func (s *session) marked(block int64) bool { return s.have[block/64]&(1<<(block%64)) != 0 }

// claim makes the caller the one who writes a block. It returns the write under
// way when another copy of the block came first, and neither when nothing is left
// to do.
func (s *session) claim(block int64) (mine, theirs *write, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase == over:
		return nil, nil, errUnknown
	case s.phase == full || s.marked(block):
		return nil, nil, nil
	case s.writing[block] != nil:
		return nil, s.writing[block], nil
	}
	mine = &write{session: s, block: block, done: make(chan struct{})}
	s.writing[block] = mine
	return mine, nil, nil
}

// settle ends a write: with its outcome for everyone who waits for it.
func (s *session) settle(w *write, err error) {
	s.mu.Lock()
	if err == nil {
		s.mark(w.block)
	}
	delete(s.writing, w.block)
	s.mu.Unlock()
	w.err = err
	if w.file != nil {
		_ = w.file.Close() // synced already, or failed
	}
	close(w.done)
}

func (s *session) turn(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = p
}

// sessions are those known in memory, bounded: whichever comes to hand makes room.
type sessions struct {
	mu    sync.Mutex
	known map[string]*session
	limit int
}

func (c *sessions) get(id string) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[id]
}

// keep adds a session unless it is known meanwhile, and returns the known one.
func (c *sessions) keep(s *session) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.known[s.id]; known != nil {
		return known
	}
	for id := range c.known {
		if len(c.known) < c.limit {
			break
		}
		delete(c.known, id)
	}
	c.known[s.id] = s
	return s
}

func (c *sessions) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
}

// sessionIDLength is that of rand.Text: nothing else is looked up.
const sessionIDLength = 26

// session returns a session from memory or from the table. Faults: NotFound.
func (s *Store) session(ctx context.Context, id string) (*session, error) {
	if len(id) != sessionIDLength {
		return nil, errUnknown
	}
	if known := s.sessions.get(id); known != nil {
		return known, nil
	}
	carve, err := s.find(ctx, "c.session_id = ?", id)
	if err != nil {
		return nil, err
	}
	loaded := newSession(carve)
	if loaded.phase == open {
		var there []int64
		if err := s.db.Read(ctx).Raw("SELECT block_id FROM carve_blocks WHERE carve_id = ?", carve.ID).Scan(&there).Error; err != nil {
			return nil, database.Fault(err)
		}
		for _, block := range there {
			if block >= 0 && block < loaded.blockSpan {
				loaded.mark(block)
			}
		}
	}
	return s.sessions.keep(loaded), nil
}
