package adminapi

import (
	"context"
	"strings"

	"muster/server/accounts"
)

func (a *api) auditRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/audit", in, handle(a, a.listAudit), "View who changed what"},
		{"POST", "/audit", in, handle(a, a.listAudit), "View who changed what, with arguments in the body"},
	}
}

// auditView is one change on the wire. Detail has what the action tells; where
// something was replaced, that is before and after.
type auditView struct {
	ID       int64          `json:"id"`
	At       *string        `json:"at"`
	Username string         `json:"username"`
	Address  string         `json:"address"`
	Action   string         `json:"action"`
	Subject  string         `json:"subject"`
	Detail   map[string]any `json:"detail"`
}

type listAudit struct {
	Action   string `arg:"action"` // how it begins
	Subject  string `arg:"subject"`
	Username string `arg:"username"`
	From     string `arg:"from"`
	To       string `arg:"to"`
	Start    int    `arg:"start,default=0,min=0"`
	Limit    int    `arg:"limit,default=100,min=0,max=1000,page"`
}

func (a *api) listAudit(ctx context.Context, r listAudit) (answer[page[auditView]], error) {
	from, to, err := argStretch(r.From, r.To)
	if err != nil {
		return answer[page[auditView]]{}, err
	}
	entries, count, total, err := a.Accounts.ListAudit(ctx, accounts.AuditFilter{
		Action: strings.TrimSpace(r.Action), Subject: strings.TrimSpace(r.Subject), Username: strings.TrimSpace(r.Username),
		From: from, To: to, Start: r.Start, Limit: r.Limit,
	})
	if err != nil {
		return answer[page[auditView]]{}, err
	}
	views := make([]auditView, 0, len(entries))
	for _, e := range entries {
		views = append(views, auditView{
			ID: e.ID, At: iso(e.At), Username: e.Username, Address: e.Address, Action: e.Action, Subject: e.Subject, Detail: orEmpty(e.Detail),
		})
	}
	return answer[page[auditView]]{"Successfully fetched the audit trail", page[auditView]{views, count, total}}, nil
}
