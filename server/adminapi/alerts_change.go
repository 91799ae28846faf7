package adminapi

import (
	"context"
	"strconv"
	"strings"

	"muster/server/alerts"
	"muster/server/fault"
)

// alertNote is who asks, and what they say.
func alertNote(ctx context.Context, comment string) alerts.Note {
	return alerts.Note{Username: callerOf(ctx).account.Username, Comment: strings.TrimSpace(comment)}
}

type resolveAlertRequest struct {
	pathAlert
	Resolve bool   `arg:"resolve,required"`
	Comment string `arg:"comment"`
}

func (a *api) resolveAlert(ctx context.Context, r resolveAlertRequest) (answer[none], error) {
	if _, _, err := a.findAlert(ctx, r.ID); err != nil {
		return answer[none]{}, err
	}
	return answer[none]{message: "Alert status is changed successfully"}, a.resolve(ctx, []int64{r.ID}, r.Resolve, r.Comment)
}

type resolveAlertsRequest struct {
	Resolve bool    `arg:"resolve,required"`
	IDs     []int64 `arg:"alert_ids,required"`
	Comment string  `arg:"comment"`
}

func (a *api) resolveAlerts(ctx context.Context, r resolveAlertsRequest) (answer[none], error) {
	ids, err := alertIDs("alert_ids", r.IDs)
	if err != nil {
		return answer[none]{}, err
	}
	return answer[none]{message: "Selected alerts status is changed successfully"}, a.resolve(ctx, ids, r.Resolve, r.Comment)
}

func (a *api) resolve(ctx context.Context, ids []int64, resolve bool, comment string) error {
	change, action := a.Alerts.Reopen, "alert.reopen"
	if resolve {
		change, action = a.Alerts.Resolve, "alert.resolve"
	}
	changed, err := change(ctx, ids, alertNote(ctx, comment))
	a.recordAlerts(ctx, action, changed, map[string]any{})
	return err
}

// recordAlerts notes a change of alerts; what was before stands in their history.
func (a *api) recordAlerts(ctx context.Context, action string, changed []int64, detail map[string]any) {
	switch len(changed) {
	case 0:
	case 1:
		a.record(ctx, action, strconv.FormatInt(changed[0], 10), detail)
	default:
		detail["alert_ids"] = changed
		a.record(ctx, action, "", detail)
	}
}

type alertStatusRequest struct {
	pathAlert
	Status  string `arg:"status,required,choices=open|in_progress|resolved"`
	Verdict string `arg:"verdict,choices=true_positive|false_positive"`
	Comment string `arg:"comment"`
}

func (a *api) setAlertStatus(ctx context.Context, r alertStatusRequest) (answer[alertView], error) {
	before, _, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return answer[alertView]{}, err
	}
	to := alerts.Handling{Status: alerts.Status(r.Status), Verdict: alerts.Verdict(r.Verdict)}
	changed, err := a.Alerts.SetStatus(ctx, []int64{r.ID}, to, alertNote(ctx, r.Comment))
	if err != nil {
		return answer[alertView]{}, err
	}
	was := alerts.Handling{Status: before.Status, Verdict: before.Verdict}
	a.recordAlerts(ctx, "alert.status", changed, map[string]any{"before": was.String(), "after": to.String()})
	return a.changedAlert(ctx, r.ID, "Alert status is changed successfully")
}

type assignAlertRequest struct {
	pathAlert
	Assignee string `arg:"assignee,required"` // empty: nobody
	Comment  string `arg:"comment"`
}

func (a *api) assignAlert(ctx context.Context, r assignAlertRequest) (answer[alertView], error) {
	before, _, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return answer[alertView]{}, err
	}
	assignee, err := a.userNamed(ctx, r.Assignee)
	if err != nil {
		return answer[alertView]{}, err
	}
	changed, err := a.Alerts.Assign(ctx, []int64{r.ID}, assignee, alertNote(ctx, r.Comment))
	if err != nil {
		return answer[alertView]{}, err
	}
	a.recordAlerts(ctx, "alert.assign", changed, map[string]any{"before": before.Assignee, "after": assignee})
	return a.changedAlert(ctx, r.ID, "Alert is assigned successfully")
}

// userNamed wants a user of that name; empty is nobody.
func (a *api) userNamed(ctx context.Context, name string) (string, error) {
	if name = strings.TrimSpace(name); name == "" {
		return "", nil
	}
	users, err := a.Accounts.ListUsers(ctx)
	if err != nil {
		return "", err
	}
	for _, user := range users {
		if user.Username == name {
			return user.Username, nil
		}
	}
	return "", fault.Fields(map[string]string{"assignee": "There is no user of that name"})
}

type commentAlertRequest struct {
	pathAlert
	Comment string `arg:"comment,required"`
}

func (a *api) commentAlert(ctx context.Context, r commentAlertRequest) (answer[none], error) {
	if _, _, err := a.findAlert(ctx, r.ID); err != nil {
		return answer[none]{}, err
	}
	if err := a.Alerts.Comment(ctx, r.ID, alertNote(ctx, r.Comment)); err != nil {
		return answer[none]{}, err
	}
	a.recordAlerts(ctx, "alert.comment", []int64{r.ID}, map[string]any{})
	return answer[none]{message: "Comment is added successfully"}, nil
}

// changedAlert answers an alert as it is now.
func (a *api) changedAlert(ctx context.Context, id int64, message string) (answer[alertView], error) {
	alert, host, err := a.findAlert(ctx, id)
	if err != nil {
		return answer[alertView]{}, err
	}
	return answer[alertView]{message, viewWholeAlert(alert, host)}, nil
}
