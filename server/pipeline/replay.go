package pipeline

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/fault"
	"muster/server/jobs"
	"muster/server/results"
)

// ReplayJob is the kind of the job that looks again at rows that are stored. Its
// arguments are {"rows": ids}.
const ReplayJob = "detect.replay"

const (
	// maxReplayed is how many rows one job looks at.
	maxReplayed = 200
	// replayTime is how long one row may take in a replay, where nobody waits: as long
	// as the matcher goes on, and as much again for exceptions.
	replayTime = time.Second
	// ReplayTimeout is enough for a job whose rows all take as long as they may: one
	// that is cut off begins again with the first, and would never end.
	ReplayTimeout = maxReplayed*2*replayTime + time.Minute
)

type replayArgs struct {
	Rows []int64 `json:"rows"`
}

// addReplay leaves rows to a replay.
func (d *Detection) addReplay(ctx context.Context, tx *database.DB, ids []int64) error {
	var work []jobs.NewJob
	for len(ids) > 0 {
		n := min(len(ids), maxReplayed)
		work = append(work, jobs.NewJob{Kind: ReplayJob, Args: replayArgs{ids[:n]}})
		ids = ids[n:]
	}
	return d.Jobs.With(tx).Add(ctx, work...)
}

// Replay does a job of the kind ReplayJob: it evaluates the rows with the rules of
// now and raises what was not raised for them before. A rule that fails again on a
// row is given up: its counters and the log tell.
func (d *Detection) Replay(ctx context.Context, j jobs.Job) error {
	var args replayArgs
	if err := json.Unmarshal(j.Args, &args); err != nil {
		return jobs.GiveUp(err)
	}
	rows, err := d.Results.Find(ctx, args.Rows)
	if err != nil {
		return err
	}
	object := objects.Get().(*condition.Object) //nolint:forcetypeassert // the pool makes nothing else
	defer objects.Put(object)
	var all []found
	for i, row := range rows {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		more, err := d.sightAgain(ctx, object, row)
		if err != nil {
			return err
		}
		if all = append(all, more...); len(all) < raiseSome && i < len(rows)-1 {
			continue
		}
		for some := range slices.Chunk(all, raiseSome) {
			if err := d.raiseAlone(ctx, some, func(*database.DB) error { return nil }); err != nil {
				return err
			}
		}
		all = nil
	}
	return nil
}

// sightAgain finds what there is in a row that is stored; nothing in one of a host that
// was deleted meanwhile.
func (d *Detection) sightAgain(ctx context.Context, object *condition.Object, row results.Row) ([]found, error) {
	host, err := d.Hosts.FindByID(ctx, row.HostID)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := results.Entry{HostID: row.HostID, Name: row.Name, Action: row.Action, Columns: row.Columns, UnixTime: row.Time.Unix()}
	s := d.guardedSight(host, object, &e, replayTime)
	if s == nil {
		return nil, nil
	}
	return s.findings(results.FoundRow{ID: row.ID, Entry: &e}, true), nil
}
