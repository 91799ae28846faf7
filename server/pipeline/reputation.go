package pipeline

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unsafe"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/indicator"
	"muster/server/intel"
	"muster/server/results"
)

const (
	collectRows  = 2_000 // of the log at once
	collectBytes = 8 << 20
	collectFor   = time.Minute // before the lease is looked at again
	// maxOffered is how many values are remembered so that they are not offered again
	// and again, and offeredFor for how long: by then a verdict may have expired.
	maxOffered = 200_000
	offeredFor = time.Hour
)

// Reputation brings what hosts report to the services that know about hashes, names
// and addresses, after the fact: it follows the log, and costs no report a moment.
type Reputation struct {
	*Raiser
	Hosts   *hosts.Store
	Results *results.Store
	Intel   *intel.Store
	Log     *slog.Logger

	offered  map[intel.Sought]bool
	offering time.Time // when the oldest of these was offered
}

// Collect follows the log, queues new values, and raises alerts for rows with values
// that a service has detected before. One replica calls it every few seconds.
func (r *Reputation) Collect(ctx context.Context) error {
	for until := time.Now().Add(collectFor); time.Now().Before(until); {
		more, err := r.collect(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (r *Reputation) collect(ctx context.Context) (more bool, err error) {
	types, err := r.Intel.Asked(ctx)
	if err != nil {
		return false, err
	}
	at, err := r.Intel.Cursor(ctx)
	if err != nil {
		return false, err
	}
	if len(types) == 0 || at == (intel.Cursor{}) { // from now on, once somebody is asked
		ends, err := r.Results.Ends(ctx, at.ID)
		if err != nil || ends.Newest == at.ID && !at.At.IsZero() {
			return false, err
		}
		return false, r.Intel.SetCursor(ctx, r.DB, intel.Cursor{ID: ends.Newest, At: time.Now().UTC()})
	}
	next, err := r.Results.Follow(ctx, results.Place{ID: at.ID, At: at.At}, results.FollowLimit{Rows: collectRows, Bytes: collectBytes})
	if err != nil || len(next.Rows) == 0 && next.Next.ID == at.ID {
		return false, err
	}
	known, err := r.Intel.Detected(ctx)
	if err != nil {
		return false, err
	}
	values, all, err := r.read(ctx, next.Rows, types, known)
	if err != nil {
		return false, err
	}
	if err := r.offer(ctx, values); err != nil {
		return false, err
	}
	return next.More, r.raiseAlone(ctx, all, func(tx *database.DB) error {
		return r.Intel.SetCursor(ctx, tx, intel.Cursor{ID: next.Next.ID, At: next.Next.At})
	})
}

// read finds the values in rows, and what to raise for those that are known. The rows
// were there before it was asked what is known: what is detected later is hunted for.
func (r *Reputation) read(ctx context.Context, rows []results.Row, types []indicator.Type, known map[intel.Sought][]intel.Provider) (map[intel.Sought]bool, []found, error) {
	values, all := map[intel.Sought]bool{}, []found{}
	there := registered{hosts: r.Hosts}
	var object condition.Object
	for _, row := range rows {
		if row.Action == "removed" || object.Load(unsafe.String(unsafe.SliceData(row.Columns), len(row.Columns))) != nil {
			continue
		}
		for v, column := range valuesOf(&object, types) {
			values[v] = true
			for _, p := range known[v] {
				is, err := there.is(ctx, row.HostID)
				if err != nil {
					return nil, nil, err
				}
				verdict, err := r.Intel.Verdict(ctx, p, v)
				if err != nil && !fault.Is(err, fault.NotFound) {
					return nil, nil, err
				}
				if is && verdict.Detected {
					all = append(all, verdictFound(verdict, row, column))
				}
			}
		}
	}
	return values, all, nil
}

// valuesOf are the values in a row that services may be asked about, each with a column.
func valuesOf(row *condition.Object, types []indicator.Type) map[intel.Sought]string {
	var values map[intel.Sought]string
	for i := range row.Columns() {
		column, text, present := row.Column(i)
		if !present {
			continue
		}
		for _, of := range intel.TypesOf(column, types) {
			if v, fit := intel.Fit(of, text); fit {
				if values == nil {
					values = map[intel.Sought]string{}
				}
				v.Value = strings.Clone(v.Value) // the row's memory is used again
				values[v] = strings.Clone(column)
			}
		}
	}
	return values
}

// offer queues values that were not offered lately.
func (r *Reputation) offer(ctx context.Context, values map[intel.Sought]bool) error {
	if len(r.offered) > maxOffered || time.Since(r.offering) > offeredFor {
		r.offered, r.offering = map[intel.Sought]bool{}, time.Now()
	}
	var fresh []intel.Sought
	for v := range values {
		if !r.offered[v] {
			fresh = append(fresh, v)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := r.Intel.Offer(ctx, fresh); err != nil {
		return err
	}
	for _, v := range fresh {
		r.offered[v] = true
	}
	return nil
}
