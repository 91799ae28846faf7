package pipeline

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"muster/server/alerts"
	"muster/server/condition"
	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/indicator"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/results"
)

// verdictFor is how long one hunt for a value that was detected may take.
const verdictFor = 5 * time.Minute

// Verdict does a job of the kind intel.VerdictJob: it raises an alert for each host
// that ever had the value, about its newest row.
func (r *Reputation) Verdict(ctx context.Context, j jobs.Job) error {
	var args intel.VerdictArgs
	if err := json.Unmarshal(j.Args, &args); err != nil {
		return jobs.GiveUp(err)
	}
	verdict, err := r.Intel.Verdict(ctx, args.Provider, intel.Sought{Type: args.Type, Value: args.Value})
	if fault.Is(err, fault.NotFound) || err == nil && !verdict.Detected {
		return nil // it is forgotten, or thinks better of it by now
	}
	if err != nil {
		return err
	}
	there, seen, all := registered{hosts: r.Hosts}, map[int64]bool{}, []found{}
	h := results.Hunt{Type: args.Type, Values: []string{args.Value}, Budget: verdictFor}
	_, err = r.Results.EachHunted(ctx, h, func(row results.Row) error {
		if seen[row.HostID] {
			return nil
		}
		seen[row.HostID] = true
		is, err := there.is(ctx, row.HostID)
		if err == nil && is {
			f := verdictFound(verdict, row, columnOf(row, intel.Sought{Type: args.Type, Value: args.Value}))
			f.Retro = true
			all = append(all, f)
		}
		return err
	})
	if err != nil {
		return err
	}
	for from := 0; from < len(all); from += raiseSome {
		if err := r.raiseAlone(ctx, all[from:min(from+raiseSome, len(all))], func(*database.DB) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// columnOf is the column of the row that has the value.
func columnOf(row results.Row, v intel.Sought) string {
	var object condition.Object
	if object.Load(string(row.Columns)) == nil {
		if column, found := valuesOf(&object, []indicator.Type{v.Type})[v]; found {
			return column
		}
	}
	return string(v.Type)
}

// verdictFound is a row with a value that a service detects. It is raised once for
// each service, value and host.
func verdictFound(v intel.Verdict, row results.Row, column string) found {
	name := string(v.Provider) + ":" + string(v.Type) + ":" + v.Value
	return found{Finding: alerts.Finding{
		HostID: row.HostID, Source: alerts.Source(v.Provider), Name: v.Value, Severity: v.Severity,
		Group: name, Once: name + ":" + strconv.FormatInt(row.HostID, 10),
		QueryName: row.Name, Action: row.Action, Columns: row.Columns, UnixTime: row.Time.Unix(), ResultID: row.ID,
		Why:        encoded([]why{{Field: column, Operator: "is_known_as_bad", Value: v.Value, Actual: v.Value}}),
		SourceData: v.Report,
	}}
}

// registered says which hosts there are.
type registered struct {
	hosts *hosts.Store
	known map[int64]bool
}

func (r *registered) is(ctx context.Context, id int64) (bool, error) {
	known, asked := r.known[id]
	if asked {
		return known, nil
	}
	_, err := r.hosts.FindByID(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	if r.known == nil {
		r.known = map[int64]bool{}
	}
	r.known[id] = err == nil
	return err == nil, nil
}
