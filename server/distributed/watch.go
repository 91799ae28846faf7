package distributed

import (
	"context"
	"encoding/json"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
)

// EventKind says what an Event tells.
type EventKind string

// The kinds of events.
const (
	ResultEvent   EventKind = "result"   // a host's answer
	ProgressEvent EventKind = "progress" // the counters changed
	DoneEvent     EventKind = "done"     // every target has an outcome; the last event
)

// Event is something that a watcher of a query is told.
type Event struct {
	Kind EventKind

	// Of a result:
	HostID   int64
	Host     *hosts.Host // nil when the host was deleted
	State    State       // Answered, Empty, Failed or Denylisted
	Status   int         // 0: it ran; 1: it did not
	Error    string      // osquery's message when it did not
	Rows     json.RawMessage
	RowCount int
	Seq      int64 // from 1, without holes

	// Of progress and done:
	Progress Progress
}

const (
	// pageRows is how many answers a watcher reads at once, pageBytes how large
	// one may be to be read with others: a watcher holds few large answers.
	pageRows  = 64
	pageBytes = 64 << 10
)

// Watch tells each of a query's answers, those that are stored first and then
// each as it is committed: in the order of their numbers, each once, however many
// watch and whenever they begin. Progress is told at the start, when it changed
// (a few times per second), and with done, after which Watch returns nil.
//
// It runs until then, or until ctx ends or each fails, whose error it returns. A
// slow each delays nobody else. A database that cannot be reached meanwhile is
// waited for. Faults: NotFound for a query that does not exist or is purged
// meanwhile; Busy and Internal when the first read fails.
func (s *Store) Watch(ctx context.Context, queryID int64, each func(Event) error) error {
	wake, stop := s.bus.Subscribe(topicLive(queryID))
	defer stop()
	w := &watcher{store: s, queryID: queryID, each: each}
	for started := false; ; started = true {
		done, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case w.failed != nil:
			return w.failed
		case done:
			return nil
		case err != nil && (!started || fault.Is(err, fault.NotFound)):
			return err
		case err != nil:
			s.log.Warn("a watcher of a live query could not read", "query_id", queryID, "error", err)
		}
		w.wait(ctx, wake)
	}
}

// watcher is how far one subscriber is.
type watcher struct {
	store   *Store
	queryID int64
	each    func(Event) error
	failed  error // of each

	seq     int64 // the last answer told
	current Progress
	told    Progress
	toldAt  time.Time // zero: never
}

// look tells what is new and reports whether the query is done.
func (w *watcher) look(ctx context.Context) (done bool, err error) {
	// The counters are read before the answers: when they say that nothing is
	// open, all answers are committed and the loop below tells the last one.
	row, err := w.store.findRow(ctx, w.queryID)
	if err != nil {
		return false, err
	}
	w.current = row.Progress
	if w.toldAt.IsZero() {
		w.progress(ProgressEvent)
	}
	for w.seq < row.LastSeq && w.failed == nil {
		if err := w.page(ctx); err != nil {
			return false, err
		}
	}
	switch {
	case w.failed != nil:
	case row.FinishedAt != 0:
		w.progress(DoneEvent)
		return true, nil
	case w.current != w.told && time.Since(w.toldAt) >= w.store.Progress:
		w.progress(ProgressEvent)
	}
	return false, nil
}

func (w *watcher) tell(e Event) {
	if w.failed == nil {
		w.failed = w.each(e)
	}
}

func (w *watcher) progress(kind EventKind) {
	w.told, w.toldAt = w.current, time.Now()
	w.tell(Event{Kind: kind, Progress: w.current})
}

// wait returns when there may be news: a hint, progress that was held back, or
// after a while in case a hint was lost.
func (w *watcher) wait(ctx context.Context, wake <-chan struct{}) {
	pause := w.store.WatchPoll
	if w.current != w.told {
		pause = min(pause, max(w.store.Progress-time.Since(w.toldAt), time.Millisecond))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// page tells the next answers.
func (w *watcher) page(ctx context.Context) error {
	var rows []taskRow
	err := w.store.db.Read(ctx).Raw("SELECT host_id, state, seq, row_count, error, octet_length(rows) AS size,"+
		" CASE WHEN octet_length(rows) <= ? THEN rows ELSE '' END AS rows"+
		" FROM live_tasks WHERE query_id = ? AND seq > ? ORDER BY seq LIMIT ?", pageBytes, w.queryID, w.seq, pageRows).Scan(&rows).Error
	if err != nil {
		return database.Fault(err)
	}
	if len(rows) == 0 {
		return errNoQuery() // purged between the two reads
	}
	for _, row := range rows {
		if row.Size > pageBytes {
			if row.Rows, err = w.large(ctx, row.HostID); err != nil {
				return err
			}
		}
		host, err := w.store.host(ctx, row.HostID)
		if err != nil {
			return err
		}
		if w.tell(result(row, host)); w.failed != nil {
			return nil
		}
		w.seq = row.Seq
	}
	return nil
}

// large reads the rows of one answer.
func (w *watcher) large(ctx context.Context, hostID int64) (string, error) {
	var rows []string
	err := w.store.db.Read(ctx).Raw("SELECT rows FROM live_tasks WHERE query_id = ? AND host_id = ?", w.queryID, hostID).Scan(&rows).Error
	if err == nil && len(rows) == 0 {
		return "", errNoQuery()
	}
	if err != nil {
		return "", database.Fault(err)
	}
	return rows[0], nil
}

func result(r taskRow, host *hosts.Host) Event {
	e := Event{
		Kind: ResultEvent, HostID: r.HostID, Host: host, State: r.State, Error: r.Error,
		Rows: json.RawMessage(r.Rows), RowCount: r.RowCount, Seq: r.Seq,
	}
	if r.State == Failed || r.State == Denylisted {
		e.Status = 1
	}
	return e
}
