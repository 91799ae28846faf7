package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"muster/server/bus"
	"muster/server/jobs"
)

// background runs everything that goes on beside requests, until ctx ends, and
// returns when all of it has finished what it was doing.
func (a *app) background(ctx context.Context) {
	var working sync.WaitGroup
	if replicated, ok := a.bus.(*bus.Replicated); ok {
		working.Go(func() { replicated.Run(ctx) })
	}
	for _, run := range []func(context.Context){
		a.certs.Run, a.hosts.Run, a.schedule.Run, a.results.Run, a.distributed.Run, a.carves.Run, a.yara.Run, a.detect.Run, a.intel.Run, a.jobs.Run, a.destinations.Run,
	} {
		working.Go(func() { run(ctx) })
	}
	working.Go(func() { jobs.New(a.db, a.log, time.Now).Run(ctx, a.works()...) })
	working.Wait()
}

// works is the periodic work that one replica does for all.
func (a *app) works() []jobs.Work {
	return append([]jobs.Work{
		{Name: "partitions", Interval: 6 * time.Hour, Run: a.results.EnsurePartitions},
		{Name: "retention", Interval: time.Hour, Run: a.retain},
		{Name: "sessions", Interval: time.Hour, Run: a.accounts.Purge},
		{Name: "hosts", Interval: time.Hour, Run: a.hosts.Purge},
		{Name: "indicators", Interval: time.Hour, Run: a.intel.Purge},
		{Name: "dead jobs", Interval: time.Hour, Run: a.jobs.Purge},
		{Name: "digests", Interval: time.Hour, Run: a.alerters.PurgeDigests},
		{Name: "observed", Interval: 15 * time.Second, Run: a.results.Observe},
	}, a.detectionWorks()...)
}

// retain deletes what is older than the settings say: those in the database, made
// through the API, win over those that the server was started with.
func (a *app) retain(ctx context.Context) error {
	keep, err := a.results.Retention(ctx, a.cfg.keep())
	if err != nil {
		return err
	}
	before := keep.Before(time.Now())
	err = a.results.Purge(ctx, before)
	if !before.Live.IsZero() {
		err = errors.Join(err, a.distributed.Purge(ctx, before.Live))
	}
	return errors.Join(err, a.alerts.Retain(ctx))
}
