package adminapi

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"muster/server/detect"
	"muster/server/fault"
)

// exceptionView is what a rule, or every rule, does not alert on.
type exceptionView struct {
	ID         int64           `json:"id"`
	RuleID     *int64          `json:"rule_id"` // null: every rule
	Conditions json.RawMessage `json:"conditions"`
	Reason     string          `json:"reason"`
	AlertID    *int64          `json:"alert_id"` // that it was made from
	Username   *string         `json:"username"`
	CreatedAt  *string         `json:"created_at"`
	ExpiresAt  *string         `json:"expires_at"` // null: never
	Expired    bool            `json:"expired"`
	Hits       int64           `json:"hits"` // matches that it kept from alerting
	LastHit    *string         `json:"last_hit"`
}

func (a *api) viewException(e detect.Exception) exceptionView {
	return exceptionView{
		ID: e.ID, RuleID: orNull(e.RuleID), Conditions: orObject(e.Conditions), Reason: e.Reason, AlertID: orNull(e.AlertID), Username: orNull(e.Username),
		CreatedAt: iso(e.Created), ExpiresAt: iso(e.Expires), Expired: e.Expired(a.Now()), Hits: e.Hits, LastHit: iso(e.LastHit),
	}
}

func (a *api) listRuleExceptions(ctx context.Context, r pathRule) (answer[[]exceptionView], error) {
	if r.ID == 0 { // in the store, that is every rule
		return answer[[]exceptionView]{}, fault.New(fault.NotFound, "Rule with this id does not exist")
	}
	return a.exceptionsOf(ctx, r.ID)
}

func (a *api) listExceptions(ctx context.Context, _ struct{}) (answer[[]exceptionView], error) {
	return a.exceptionsOf(ctx, 0)
}

func (a *api) exceptionsOf(ctx context.Context, ruleID int64) (answer[[]exceptionView], error) {
	exceptions, err := a.Detect.Exceptions(ctx, ruleID)
	views := make([]exceptionView, 0, len(exceptions))
	for _, e := range exceptions {
		views = append(views, a.viewException(e))
	}
	return answer[[]exceptionView]{"Successfully fetched the exceptions", views}, err
}

// exceptionEnd is when an exception ends: a time or a date, under the name that answers
// have or the one that indicators are imported with. One that were not read would be an
// exception for ever.
type exceptionEnd struct {
	ExpiresAt string `arg:"expires_at"`
	Expires   string `arg:"expires"`
}

func (r *exceptionEnd) moment() (time.Time, error) {
	if r.ExpiresAt != "" {
		return argMoment("expires_at", r.ExpiresAt)
	}
	return argMoment("expires", r.Expires)
}

// exceptionSpec is what an exception is made of.
type exceptionSpec struct {
	Conditions map[string]any `arg:"conditions,required"`
	Reason     string         `arg:"reason,required"`
	exceptionEnd
}

func (r *exceptionSpec) exception() (e detect.Exception, err error) {
	if e.Expires, err = r.moment(); err != nil {
		return e, err
	}
	e.Reason = r.Reason
	if e.Conditions, err = json.Marshal(r.Conditions); err != nil {
		return e, fault.Wrap(err, fault.Invalid, "conditions must be a JSON object")
	}
	return e, nil
}

func (a *api) addException(ctx context.Context, r exceptionSpec) (answer[exceptionView], error) {
	e, err := r.exception()
	if err != nil {
		return answer[exceptionView]{}, err
	}
	return a.storeException(ctx, e)
}

type ruleException struct {
	pathRule
	exceptionSpec
}

func (a *api) addRuleException(ctx context.Context, r ruleException) (answer[exceptionView], error) {
	e, err := r.exception()
	if err != nil {
		return answer[exceptionView]{}, err
	}
	rule, err := a.Detect.Find(ctx, r.ID)
	if err != nil {
		return answer[exceptionView]{}, err
	}
	e.RuleID = rule.ID
	return a.storeException(ctx, e)
}

func (a *api) storeException(ctx context.Context, e detect.Exception) (answer[exceptionView], error) {
	e.Username = callerOf(ctx).account.Username
	stored, err := a.Detect.AddException(ctx, e)
	if err != nil {
		return answer[exceptionView]{}, err
	}
	view := a.viewException(stored)
	a.record(ctx, "exception.add", strconv.FormatInt(stored.ID, 10), map[string]any{"after": view})
	return answer[exceptionView]{"Successfully added the exception", view}, nil
}

type pathException struct {
	ID int64 `path:"exception_id"`
}

func (a *api) deleteException(ctx context.Context, r pathException) (answer[none], error) {
	gone, err := a.Detect.DeleteException(ctx, r.ID)
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "exception.delete", strconv.FormatInt(gone.ID, 10), map[string]any{"before": a.viewException(gone)})
	return answer[none]{message: "Successfully deleted the exception"}, nil
}
