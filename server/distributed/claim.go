package distributed

import (
	"context"
	"strconv"
	"strings"
)

const (
	// maxClaim bounds the queries of one read: the agent runs them one after the other.
	maxClaim = 32
	// accelerate is how many seconds a targeted host reads more often (osquery-tls.md 4.2).
	accelerate = 60
)

// Work is what a host is to do now.
type Work struct {
	Queries    map[string]string // wire id to SQL
	Accelerate int               // seconds; 0: leave the agent's pace alone
}

// wireID is what an agent calls a query: short ASCII, the same each time it is sent.
func wireID(queryID int64) string { return "m" + strconv.FormatInt(queryID, 10) }

// QueryID is the query that a wire id stands for; false when it is none of ours.
func QueryID(wireID string) (int64, bool) {
	digits, ours := strings.CutPrefix(wireID, "m")
	id, err := strconv.ParseUint(digits, 10, 63)
	if !ours || err != nil || id == 0 {
		return 0, false
	}
	return int64(id), true
}

// Claim hands a host its open queries and marks them sent. One that was handed
// over and not answered is handed over again after a while, until it expires; it
// may then run twice. A host without open tasks costs no SQL. Faults: Busy,
// Internal; the host reads again soon.
func (s *Store) Claim(ctx context.Context, hostID int64) (Work, error) {
	due, awaited := s.open.due(hostID, s.micros(), s.resendAfter(), maxClaim)
	var work Work
	if awaited {
		work.Accelerate = accelerate
	}
	if len(due) == 0 {
		return work, nil
	}
	op := &operation{host: hostID}
	for _, query := range due {
		op.claims = append(op.claims, query.ID)
	}
	if err := s.commit(ctx, op); err != nil {
		return Work{}, err
	}
	for _, query := range due {
		if op.granted[query.ID] {
			if work.Queries == nil {
				work.Queries = map[string]string{}
			}
			work.Queries[wireID(query.ID)] = query.SQL
			work.Accelerate = accelerate
		}
	}
	return work, nil
}
