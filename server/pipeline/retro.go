package pipeline

import (
	"context"
	"log/slog"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/indicator"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/results"
)

const (
	// retroSome is how many indicators are looked for at once.
	retroSome = 50_000
	// retroHunt is how long one hunt may take.
	retroHunt = 10 * time.Minute
	// retroWalk is how long the rows are looked through for what no index can answer.
	retroWalk = 15 * time.Minute
	// retroAlerts is how many alerts one look back raises at most: more would bury what
	// they are about.
	retroAlerts = 10_000
	// raiseSome is how many findings one transaction stores.
	raiseSome = 200
)

// Retro looks for indicators that are new in what was stored before they were, and
// raises an alert for each that a host had, once.
type Retro struct {
	*Raiser
	Hosts   *hosts.Store
	Results *results.Store
	Intel   *intel.Store
	Walk    time.Duration // 0: a quarter of an hour
	Log     *slog.Logger
}

// Work does a job of the kind intel.RetroJob.
func (r *Retro) Work(ctx context.Context, _ jobs.Job) error {
	fresh, err := r.Intel.Fresh(ctx)
	if err != nil {
		return err
	}
	run := intel.RetroRun{Started: time.Now().UTC(), Complete: true}
	err = r.look(ctx, fresh, &run)
	if run.Indicators == 0 && err == nil {
		return fresh.Done(ctx)
	}
	run.Ended = time.Now().UTC()
	if err != nil {
		run.Error, run.Complete = fault.Public(err), false
	} else {
		err = fresh.Done(ctx)
	}
	if saving := r.Intel.SaveRetro(context.WithoutCancel(ctx), run); saving != nil && err == nil {
		err = saving
	}
	if fault.Is(err, fault.TooMany) || fault.Is(err, fault.Busy) { // people hunt, or the database is busy: that is no failure
		return jobs.Later(time.Minute, err)
	}
	return err
}

// look looks for all of them: through the index for what rows hold as it is, and row by
// row for networks and for what is below domains.
func (r *Retro) look(ctx context.Context, fresh *intel.Fresh, run *intel.RetroRun) error {
	broad, domains := map[int64]bool{}, []string{}
	for {
		some, err := fresh.Next(ctx, retroSome)
		if err != nil {
			return err
		}
		if len(some) == 0 {
			break
		}
		run.Indicators += len(some)
		if err := r.Intel.SaveRetro(ctx, *run); err != nil {
			return err
		}
		wanted, values := map[int64]bool{}, map[indicator.Type][]string{}
		for _, i := range some {
			switch {
			case !i.Broad():
				wanted[i.ID], values[i.Type] = true, append(values[i.Type], i.Value)
			case i.Type == intel.Domain:
				domains = append(domains, i.Value)
				fallthrough
			default:
				broad[i.ID] = true
			}
		}
		seen := r.newPast(wanted)
		if err := r.hunt(ctx, seen, values, run); err != nil {
			return err
		}
		if err := r.tell(ctx, seen, run); err != nil {
			return err
		}
	}
	return r.walk(ctx, broad, domains, run)
}

// hunt asks the index for values.
func (r *Retro) hunt(ctx context.Context, seen *past, values map[indicator.Type][]string, run *intel.RetroRun) error {
	for _, of := range intel.Types() {
		if len(values[of]) == 0 {
			continue
		}
		h := results.Hunt{Type: of, Values: values[of], To: seen.before, Budget: retroHunt}
		reach, err := r.Results.EachHunted(ctx, h, func(row results.Row) error { return seen.add(ctx, row) })
		if err != nil {
			return err
		}
		run.Complete = run.Complete && reach.Complete
	}
	return nil
}

// walk looks at every row. Where the time is up it asks the index for the names
// themselves, so that what is missed is what is below them, and networks.
func (r *Retro) walk(ctx context.Context, broad map[int64]bool, domains []string, run *intel.RetroRun) error {
	if len(broad) == 0 {
		return nil
	}
	budget := r.Walk
	if budget <= 0 {
		budget = retroWalk
	}
	seen := r.newPast(broad)
	reach, err := r.Results.EachMatch(ctx, budget, seen.holds, func(row results.Row) error { return seen.add(ctx, row) })
	if err != nil {
		return err
	}
	run.Rows, run.From, run.Complete = reach.Rows, reach.From, run.Complete && reach.Complete
	if !reach.Complete {
		seen.before = reach.From
		for from := 0; from < len(domains); from += retroSome {
			some := domains[from:min(from+retroSome, len(domains))]
			if err := r.hunt(ctx, seen, map[indicator.Type][]string{intel.Domain: some}, run); err != nil {
				return err
			}
		}
	}
	return r.tell(ctx, seen, run)
}

// tell raises what was seen.
func (r *Retro) tell(ctx context.Context, p *past, run *intel.RetroRun) error {
	if p.full {
		r.Log.Warn("a look back found more than it raises alerts for", "alerts", retroAlerts)
		run.Complete = false
	}
	for from := 0; from < len(p.order); from += raiseSome {
		var all []found
		for _, s := range p.order[from:min(from+raiseSome, len(p.order))] {
			run.Sightings += s.count
			all = append(all, s.found())
		}
		err := r.DB.Tx(ctx, func(tx *database.DB) error {
			raised, err := r.raise(ctx, tx, all)
			run.Alerts += len(raised)
			return err
		})
		if err != nil {
			return err
		}
		r.Committed()
	}
	return nil
}
