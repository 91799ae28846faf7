package distributed

import (
	"context"
	"maps"
	"slices"

	"muster/server/database"
)

// change is what a batch wants of one query, and what came of it.
type change struct {
	claims  []*operation
	answers []answer

	row      queryRow
	tasks    map[int64]*task // by host id
	accepted []answer        // with a number: the last one has row.LastSeq
	granted  []int64         // hosts
	gone     bool            // the query does not exist
}

// task is a task as the transaction found it, then as it leaves it.
type task struct {
	HostID int64
	State  State
	Sends  int
	SentAt int64
}

// write applies a batch in one transaction, then tells memory and watchers.
func (s *Store) write(batch []*operation) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitTime)
	defer cancel()
	changes := group(batch)
	// Queries are locked in the order of their ids, by everyone: no deadlock.
	order := slices.Sorted(maps.Keys(changes))
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		for _, id := range order {
			if err := s.apply(ctx, tx, id, changes[id]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range order {
		s.tell(id, changes[id])
	}
	return nil
}

func group(batch []*operation) map[int64]*change {
	changes := map[int64]*change{}
	of := func(queryID int64) *change {
		if changes[queryID] == nil {
			changes[queryID] = &change{}
		}
		return changes[queryID]
	}
	for _, op := range batch {
		for _, id := range op.claims {
			of(id).claims = append(of(id).claims, op)
		}
		for _, a := range op.answers {
			of(a.queryID).answers = append(of(a.queryID).answers, a)
		}
	}
	return changes
}

func (s *Store) apply(ctx context.Context, tx *database.DB, queryID int64, c *change) error {
	// A second try starts from what is stored.
	c.accepted, c.granted, c.tasks = nil, nil, map[int64]*task{}
	row, found, err := lock(ctx, tx, queryID)
	if err != nil || !found {
		c.gone = !found
		return err
	}
	c.row = row
	if err := c.read(ctx, tx); err != nil {
		return err
	}
	now := s.micros()
	c.decide(now, s.resendAfter().Microseconds())
	if err := c.writeAnswers(ctx, tx, now); err != nil {
		return err
	}
	if err := c.writeClaims(ctx, tx, now); err != nil {
		return err
	}
	if len(c.accepted) == 0 && len(c.granted) == 0 {
		return nil
	}
	return c.row.save(ctx, tx)
}

// lock reads a query's row and keeps it from others until the transaction ends;
// on SQLite every write transaction is alone.
func lock(ctx context.Context, tx *database.DB, queryID int64) (row queryRow, found bool, err error) {
	text := "SELECT * FROM live_queries WHERE id = ?"
	if tx.Engine() == database.Postgres {
		text += " FOR UPDATE"
	}
	var rows []queryRow
	if err := tx.Write(ctx).Raw(text, queryID).Scan(&rows).Error; err != nil || len(rows) == 0 {
		return queryRow{}, false, err
	}
	return rows[0], true, nil
}

// save writes what changes in a query's row. finish comes first.
func (r *queryRow) save(ctx context.Context, tx *database.DB) error {
	return tx.Write(ctx).Exec("UPDATE live_queries SET finished_at = ?, cancelled_at = ?, last_seq = ?, sent = ?, answered = ?,"+
		" empty = ?, failed = ?, expired = ?, cancelled = ? WHERE id = ?",
		r.FinishedAt, r.CancelledAt, r.LastSeq, r.Sent, r.Answered, r.Empty, r.Failed, r.Expired, r.Cancelled, r.ID).Error
}

// finish notes the time when the last target got its outcome.
func (r *queryRow) finish(now int64) {
	if r.FinishedAt == 0 && r.Open() <= 0 {
		r.FinishedAt = now
	}
}

// read finds the tasks of the hosts that the batch is about.
func (c *change) read(ctx context.Context, tx *database.DB) error {
	hosts := make([]int64, 0, len(c.claims)+len(c.answers))
	for _, op := range c.claims {
		hosts = append(hosts, op.host)
	}
	for _, a := range c.answers {
		hosts = append(hosts, a.hostID)
	}
	var rows []task
	err := tx.Write(ctx).Raw("SELECT host_id, state, sends, sent_at FROM live_tasks WHERE query_id = ? AND host_id IN ?", c.row.ID, hosts).
		Scan(&rows).Error
	for i := range rows {
		c.tasks[rows[i].HostID] = &rows[i]
	}
	return err
}

// decide says which answers count and who is handed the query, and changes the
// counters to match.
func (c *change) decide(now, resend int64) {
	for _, a := range c.answers {
		t := c.tasks[a.hostID]
		late := t != nil && t.State == Expired && t.Sends > 0
		if t == nil || !t.State.open() && !late {
			continue
		}
		if late {
			c.row.count(Expired, -1)
		}
		if t.Sends == 0 {
			// Handed over by a replica whose mark was lost.
			t.Sends = 1
			c.row.Sent++
		}
		t.State = a.state
		c.row.count(a.state, 1)
		c.row.LastSeq++
		c.accepted = append(c.accepted, a)
	}
	for _, op := range c.claims {
		t := c.tasks[op.host]
		switch {
		case t == nil || !t.State.open() || c.row.FinishedAt != 0 || c.row.ExpiresAt <= now:
		case t.State == Sent && t.SentAt > now-resend:
		default:
			if t.Sends == 0 {
				c.row.Sent++
			}
			t.State, t.Sends, t.SentAt = Sent, t.Sends+1, now
			c.granted = append(c.granted, op.host)
		}
	}
	c.row.finish(now)
}

func (c *change) writeAnswers(ctx context.Context, tx *database.DB, now int64) error {
	if len(c.accepted) == 0 {
		return nil
	}
	first := c.row.LastSeq - int64(len(c.accepted)) + 1
	var args []any
	for i, a := range c.accepted {
		args = append(args, a.hostID, string(a.state), c.tasks[a.hostID].Sends, first+int64(i), a.rowCount, a.rows, a.error, a.stats)
	}
	const casts = "(CAST(? AS bigint),CAST(? AS text),CAST(? AS bigint),CAST(? AS bigint),CAST(? AS bigint)," +
		"CAST(? AS text),CAST(? AS text),CAST(? AS text))"
	return tx.Write(ctx).Exec("WITH v(host_id, state, sends, seq, row_count, rows, error, stats) AS (VALUES "+
		questionMarks(casts, len(c.accepted))+") UPDATE live_tasks SET state = v.state, sends = v.sends, finished_at = ?,"+
		" seq = v.seq, row_count = v.row_count, rows = v.rows, error = v.error, stats = v.stats"+
		" FROM v WHERE live_tasks.query_id = ? AND live_tasks.host_id = v.host_id",
		append(args, now, c.row.ID)...).Error
}

func (c *change) writeClaims(ctx context.Context, tx *database.DB, now int64) error {
	if len(c.granted) == 0 {
		return nil
	}
	return tx.Write(ctx).Exec("UPDATE live_tasks SET state = 'sent', sends = sends + 1, sent_at = ? WHERE query_id = ? AND host_id IN ?",
		now, c.row.ID, c.granted).Error
}

// tell brings memory up to what was committed and wakes watchers.
func (s *Store) tell(queryID int64, c *change) {
	for _, a := range c.answers {
		s.open.remove(a.hostID, queryID)
	}
	for _, op := range c.claims {
		if t := c.tasks[op.host]; t != nil && t.State.open() {
			s.open.sent(op.host, queryID, t.SentAt)
			op.granted[queryID] = slices.Contains(c.granted, op.host)
		} else {
			s.open.remove(op.host, queryID)
		}
	}
	if len(c.accepted) > 0 || len(c.granted) > 0 {
		s.bus.Publish(topicLive(queryID))
	}
	if c.gone || c.row.FinishedAt != 0 {
		s.open.drop(queryID)
	}
	if len(c.accepted) > 0 && c.row.FinishedAt != 0 {
		s.bus.Publish(topicOpen)
	}
}
