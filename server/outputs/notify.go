package outputs

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"muster/server/alerts"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/jobs"
)

// NotifyKind is the kind of the jobs that tell alerters.
const NotifyKind = "alert.notify"

// NotifyArgs are the arguments of such a job: tell one alerter of one event, or
// send it what was gathered for its digest.
type NotifyArgs struct {
	AlertID int64  `json:"alert_id,omitempty"`
	EventID int64  `json:"event_id,omitempty"` // 0: what raised the alert
	Alerter string `json:"alerter"`            // its name
	Digest  bool   `json:"digest,omitempty"`
}

// notifyAtOnce bounds the deliveries of all alerters in one process.
const notifyAtOnce = 32

// busyWait is how long a delivery waits that found a queue full.
const busyWait = 10 * time.Second

// Worker does the jobs of NotifyKind. A name that no alerter has is skipped, with
// a warning in the log the first time; so is one that is not active, without.
// While an alerter fails, its other jobs wait and lose no attempt.
func (a *Alerters) Worker() jobs.Worker {
	return jobs.Worker{Kind: NotifyKind, Run: a.run, AtOnce: notifyAtOnce}
}

func (a *Alerters) run(ctx context.Context, job jobs.Job) error {
	var args NotifyArgs
	if err := json.Unmarshal(job.Args, &args); err != nil {
		return jobs.GiveUp(errors.New("the arguments of the job cannot be read"))
	}
	row, err := findReceiver(ctx, a.DB, args.Alerter)
	if fault.Is(err, fault.NotFound) {
		a.warnOnce(args.Alerter)
		return nil
	}
	if err != nil || row.Active == 0 { // what was gathered comes with the next digest, if there is one
		return err
	}
	deliver, err := a.delivery(ctx, row, args)
	if err != nil || deliver == nil {
		return err
	}
	if wait := a.paces.enter(row.ID); wait > 0 {
		return jobs.Later(wait, errPutOff)
	}
	began := a.Now()
	failed, asked := true, time.Duration(0) // unless it is told otherwise, as after a panic
	defer func() { a.paces.leave(row.ID, a.Now().Sub(began), failed, asked) }()
	err = deliver(ctx)
	failed, asked, err = verdict(err)
	return err
}

var errPutOff = errors.New("others of this alerter are under way, or it failed a moment ago")

// delivery is what a job has to do; nil: nothing any more.
func (a *Alerters) delivery(ctx context.Context, row receiverRow, args NotifyArgs) (func(context.Context) error, error) {
	if args.Digest {
		return func(ctx context.Context) error { return a.sendDigest(ctx, row) }, nil
	}
	to, err := a.open(row)
	if err != nil {
		return nil, jobs.GiveUp(err)
	}
	notice, err := a.notice(ctx, args)
	if fault.Is(err, fault.NotFound) { // the alert was deleted: there is nothing to tell
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := to.Notify(ctx, notice); err != nil {
			return err
		}
		a.told(ctx, to, row.Name, notice)
		return nil
	}, nil
}

// told puts into the history of an alert that somebody was told; a line of our own log
// is nobody. It is told by now, so a history that cannot be written is no failure.
func (a *Alerters) told(ctx context.Context, to Alerter, name string, n Notice) {
	comment := ""
	switch to := to.(type) {
	case debugAlerter:
		return
	case *emailAlerter:
		if to.settings.Digest {
			comment = "with the next digest"
		}
	}
	if err := a.Alerts.Told(ctx, n.Alert.ID, name, comment); err != nil {
		a.Log.Warn("who was told of an alert cannot be noted", "alert_id", n.Alert.ID, "alerter", name, "error", err)
	}
}

// verdict says what an error means for the job and for others of the alerter: that
// it is not well, and how long it asked to be left alone.
func verdict(err error) (failed bool, asked time.Duration, outcome error) {
	var sent *sendError
	var mail *MailError
	switch {
	case err == nil:
		return false, 0, nil
	case errors.As(err, &sent) && sent.permanent:
		return false, 0, jobs.GiveUp(err)
	case errors.As(err, &sent) && sent.wait > 0:
		return true, sent.wait, jobs.Later(sent.wait, err)
	case errors.As(err, &sent):
		return true, 0, err
	case errors.As(err, &mail) && mail.Temporary:
		return true, 0, err
	case fault.Is(err, fault.Busy):
		return false, 0, jobs.Later(busyWait, err)
	case fault.Is(err, fault.Internal):
		return false, 0, err
	}
	return false, 0, jobs.GiveUp(err) // settings, or a mail server that will say the same again
}

// notice gathers what is told. Faults: NotFound when there is no such alert.
func (a *Alerters) notice(ctx context.Context, args NotifyArgs) (Notice, error) {
	alert, err := a.Alerts.Find(ctx, args.AlertID)
	if err != nil {
		return Notice{}, err
	}
	n := Notice{Alert: alert, Event: alerts.Event{
		ID: args.EventID, AlertID: alert.ID, QueryName: alert.QueryName, Action: alert.Action, Columns: alert.Columns, Why: alert.Why, Time: alert.Time, Created: alert.Created,
	}}
	if args.EventID != 0 {
		event, err := a.Alerts.FindEvent(ctx, args.EventID)
		switch {
		case err == nil:
			n.Event = event
		case !fault.Is(err, fault.NotFound): // one that was not kept looked like the alert
			return n, err
		}
	}
	if n.Host, err = a.Hosts.FindByID(ctx, alert.HostID); fault.Is(err, fault.NotFound) {
		n.Host, err = &hosts.Host{ID: alert.HostID, Identifier: "host " + strconv.FormatInt(alert.HostID, 10)}, nil // deleted
	}
	if err != nil {
		return n, err
	}
	if alert.RuleID != 0 {
		rule, err := a.Rules.Find(ctx, alert.RuleID)
		if err != nil && !fault.Is(err, fault.NotFound) { // deleted: its name is in the alert
			return n, err
		}
		n.RuleDescription, n.RuleStatus = rule.Description, rule.Status
	}
	if a.ConsoleURL != "" {
		n.Link = a.ConsoleURL + "/alerts/" + strconv.FormatInt(alert.ID, 10)
	}
	return n, nil
}

// open returns the alerter of a row, made anew if its settings changed. Faults:
// Unprocessable for settings that are not complete or cannot be opened.
func (a *Alerters) open(row receiverRow) (Alerter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ready, found := a.ready[row.ID]
	if found && ready.stored == row.Settings {
		return ready.Alerter, nil
	}
	plain, lost := a.opened(row)
	for field := range lost {
		return nil, fault.New(fault.Unprocessable, "The alerter %s cannot be used: "+enterAgain, row.Name, field)
	}
	if err := plain.check(); err != nil {
		return nil, fault.Wrap(err, fault.Unprocessable, "The alerter %s is not configured: %s", row.Name, fault.Public(err))
	}
	if old, ok := ready.Alerter.(interface{ close() }); ok {
		old.close()
	}
	made := plain.alerter(tools{id: row.ID, mail: a.Mail, gather: a.gather, log: a.Log, now: a.Now})
	a.ready[row.ID] = readyAlerter{made, row.Settings}
	return made, nil
}

// warnOnce tells the log of a name that no alerter has.
func (a *Alerters) warnOnce(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.warn[name] && len(a.warn) < 1000 {
		a.warn[name] = true
		a.Log.Warn("a rule names an alerter that does not exist: nobody is told", "alerter", name)
	}
}
