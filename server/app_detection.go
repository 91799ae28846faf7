package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/pipeline"
	"muster/server/results"
	"muster/server/sigma"
	"muster/yara"
)

// resultsOptions let alerts be raised in the commit of the rows that cause them.
func (a *app) resultsOptions() results.Options {
	return results.Options{
		Found: func(ctx context.Context, tx *database.DB, rows []results.FoundRow, later bool) error {
			return a.detection.Found(ctx, tx, rows, later)
		},
		FoundCommitted: func() { a.detection.Committed() },
	}
}

// sigmaMapping reads a mapping of an operator's own; nil: there is none.
func sigmaMapping(file string) (*sigma.Mapping, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // the store takes the mapping that ships
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("sigma_mapping: %w", err)
	}
	mapping, err := sigma.ParseMapping(text)
	if err != nil {
		return nil, fmt.Errorf("sigma_mapping: %s: %w", file, err)
	}
	return mapping, nil
}

// openDetection puts together what looks at reports and raises alerts.
func (a *app) openDetection() {
	raiser := &pipeline.Raiser{DB: a.db, Alerts: a.alerts, Jobs: a.jobs, Bus: a.bus, Everyone: a.activeAlerters}
	a.detection = &pipeline.Detection{
		Raiser: raiser, Hosts: a.hosts, Results: a.results, Detect: a.detect, Intel: a.intel, Tables: a.schedule.Tables, Log: a.log,
	}
	a.jobs.Handle(jobs.Worker{Kind: pipeline.ReplayJob, Run: a.detection.Replay, Timeout: pipeline.ReplayTimeout})
	retro := &pipeline.Retro{Raiser: raiser, Hosts: a.hosts, Results: a.results, Intel: a.intel, Log: a.log}
	a.jobs.Handle(jobs.Worker{Kind: intel.RetroJob, Run: retro.Work, Timeout: 2 * time.Hour})
	a.reputation = &pipeline.Reputation{Raiser: raiser, Hosts: a.hosts, Results: a.results, Intel: a.intel, Log: a.log}
	a.jobs.Handle(jobs.Worker{Kind: intel.VerdictJob, Run: a.reputation.Verdict, Timeout: 10 * time.Minute})
	if a.cfg.Program != "" {
		a.scans = &pipeline.CarveScans{
			Raiser: raiser, Carves: a.carves, YARA: a.yara, Scan: yara.ScanApart(a.cfg.Program, cmdYARA, "--scan"), Log: a.log,
		}
		a.jobs.Handle(jobs.Worker{Kind: pipeline.ScanJob, Run: a.scans.Work, Timeout: yara.ScanTime + time.Minute})
	}
}

// activeAlerters names whom alerts are told that name nobody themselves. As long as
// mail is not configured nobody asked for mails, and each would only fail.
func (a *app) activeAlerters(ctx context.Context) ([]string, error) {
	_, err := a.mail.Settings(ctx)
	withMail := !fault.Is(err, fault.NotFound)
	if err != nil && withMail {
		return nil, err
	}
	all, err := a.alerters.List(ctx)
	var names []string
	for _, receiver := range all {
		if receiver.Active && (receiver.Kind != "email" || withMail) {
			names = append(names, receiver.Name)
		}
	}
	return names, err
}

// detectionWorks is the periodic work of detection.
func (a *app) detectionWorks() []jobs.Work {
	works := []jobs.Work{
		{Name: "values", Interval: 15 * time.Second, Run: a.reputation.Collect},
		{Name: "verdicts", Interval: time.Hour, Run: a.intel.PurgeVerdicts},
	}
	for _, p := range intel.Providers() { // each on its own: one that is slow holds up no other
		works = append(works, jobs.Work{Name: "ask " + string(p), Interval: 15 * time.Second, Run: a.intel.Lookups(p).Run})
	}
	if a.scans != nil {
		works = append(works, jobs.Work{Name: "carve scans", Interval: 10 * time.Second, Run: a.scans.Queue})
	}
	return works
}

// ruleTrials tries rules on what was stored.
func (a *app) ruleTrials() *pipeline.RuleTrials {
	return &pipeline.RuleTrials{Hosts: a.hosts, Results: a.results, Detect: a.detect, Alerts: a.alerts, Tables: a.schedule.Tables, Now: time.Now}
}
