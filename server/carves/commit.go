package carves

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const (
	commitBatch   = 128              // blocks of one transaction
	commitTimeout = 10 * time.Second // below the 16 s that an agent waits
	syncsAtOnce   = 8
)

// committer makes blocks durable in groups: while one group is being synced and
// committed, the next gathers.
type committer struct {
	store   *Store
	mu      sync.Mutex
	waiting []*write
	running bool
}

// add queues a written block; its done channel tells the outcome.
func (c *committer) add(w *write) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, w)
	if !c.running {
		c.running = true
		go c.run()
	}
}

// run works until nothing waits.
func (c *committer) run() {
	for {
		c.mu.Lock()
		n := min(len(c.waiting), commitBatch)
		batch := slices.Clone(c.waiting[:n])
		c.waiting = slices.Delete(c.waiting, 0, n)
		if n == 0 {
			c.running = false
		}
		c.mu.Unlock()
		if n == 0 {
			return
		}
		c.store.commit(batch)
	}
}

// group is the blocks of one carve in a batch.
type group struct {
	session *session
	writes  []*write
	err     error // the sync failed
	phase   phase // what the table says once recorded
	last    bool  // the carve has all its blocks by this group
}

// commit makes a batch durable: bytes first, then rows, then everyone is told.
func (s *Store) commit(batch []*write) {
	groups := grouped(batch)
	syncFiles(groups)
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		for _, g := range groups {
			if g.err != nil {
				continue
			}
			if err := s.record(ctx, tx, g); err != nil {
				return err
			}
		}
		return nil
	})
	for _, g := range groups {
		s.announce(g, err)
	}
}

// grouped sorts by carve, so that replicas lock rows in the same order.
func grouped(batch []*write) []*group {
	byCarve := map[int64]*group{}
	var groups []*group
	for _, w := range batch {
		g := byCarve[w.session.carveID]
		if g == nil {
			g = &group{session: w.session}
			byCarve[w.session.carveID] = g
			groups = append(groups, g)
		}
		g.writes = append(g.writes, w)
	}
	slices.SortFunc(groups, func(a, b *group) int { return cmp.Compare(a.session.carveID, b.session.carveID) })
	return groups
}

// syncFiles brings every carve's bytes to disk, one sync for each file.
func syncFiles(groups []*group) {
	var syncs sync.WaitGroup
	slots := make(chan struct{}, syncsAtOnce)
	for _, g := range groups {
		slots <- struct{}{}
		syncs.Go(func() {
			defer func() { <-slots }()
			if err := g.writes[0].file.Sync(); err != nil {
				g.err = fault.Wrap(err, fault.Busy, notStored)
			}
		})
	}
	syncs.Wait()
}

// record writes the rows of a group. The carve's own row is updated first: that
// locks it against an end of the session in another replica.
func (s *Store) record(ctx context.Context, tx *database.DB, g *group) error {
	id, now := g.session.carveID, s.now()
	var received []int64
	err := tx.Write(ctx).Raw("UPDATE carves SET status = ?, updated_at = ? WHERE id = ? AND status IN (?, ?) RETURNING received_blocks",
		InProgress, now, id, Initialized, InProgress).Scan(&received).Error
	if err != nil {
		return err
	}
	if len(received) == 0 {
		var status []Status
		err := tx.Read(ctx).Raw("SELECT status FROM carves WHERE id = ?", id).Scan(&status).Error
		g.phase = over
		if len(status) == 1 {
			g.phase = phaseOf(status[0])
		}
		return err
	}
	var args []any
	for _, w := range g.writes {
		args = append(args, id, w.block, g.session.blockLength(w.block))
	}
	inserted := tx.Write(ctx).Exec("INSERT INTO carve_blocks (carve_id, block_id, size) VALUES "+
		strings.TrimSuffix(strings.Repeat("(?, ?, ?),", len(g.writes)), ",")+" ON CONFLICT (carve_id, block_id) DO NOTHING", args...)
	if inserted.Error != nil {
		return inserted.Error
	}
	count, status := received[0]+inserted.RowsAffected, InProgress
	if count == g.session.blockSpan {
		g.last, g.phase, status = true, full, Building
	}
	return tx.Write(ctx).Exec("UPDATE carves SET received_blocks = ?, status = ? WHERE id = ?", count, status, id).Error
}

// announce tells everyone who waits for a group what became of it.
func (s *Store) announce(g *group, err error) {
	if g.err != nil {
		err = g.err
	}
	switch {
	case err != nil:
		// The commit may have happened all the same: read the table next time.
		s.sessions.forget(g.session.id)
		s.wakeWorker()
	case g.phase == over:
		g.session.turn(over)
		err = errUnknown
	case g.phase == full:
		g.session.turn(full)
		g.writes[0].completed = g.last
	}
	for _, w := range g.writes {
		g.session.settle(w, err)
	}
}
