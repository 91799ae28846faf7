package pipeline

import (
	"context"
	"encoding/json"
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

// replayTime is how long one row may take in a replay, where nobody waits.
const replayTime = 5 * time.Second

type replayArgs struct {
	Rows []int64 `json:"rows"`
}

// addReplay leaves rows to a replay.
func (d *Detection) addReplay(ctx context.Context, tx *database.DB, ids []int64) error {
	var work []jobs.NewJob
	for len(ids) > 0 {
		n := min(len(ids), maxRaisedRows)
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
	all, err := d.sightAgain(ctx, rows)
	if err != nil || len(all) == 0 {
		return err
	}
	return d.raiseAlone(ctx, all, func(*database.DB) error { return nil })
}

func (d *Detection) sightAgain(ctx context.Context, rows []results.Row) ([]found, error) {
	object := objects.Get().(*condition.Object) //nolint:forcetypeassert // the pool makes nothing else
	defer objects.Put(object)
	var all []found
	for _, row := range rows {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		host, err := d.Hosts.FindByID(ctx, row.HostID)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		e := results.Entry{HostID: row.HostID, Name: row.Name, Action: row.Action, Columns: row.Columns, UnixTime: row.Time.Unix()}
		if s := d.guardedSight(host, object, &e, replayTime); s != nil {
			all = append(all, s.findings(results.FoundRow{ID: row.ID, Entry: &e}, true)...)
		}
	}
	return all, nil
}
