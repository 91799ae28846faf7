package adminapi

import (
	"context"
	"net/http"

	"muster/server/accounts"
	"muster/server/httpkit"
)

// caller is who makes a request, in its context.
type caller struct {
	account *accounts.Account // nil on routes that ask for nobody
	address string
	agent   string // User-Agent
	token   string
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// introduce notes where a request comes from.
func (a *api) introduce(r *http.Request, account *accounts.Account) *http.Request {
	c := caller{account: account, address: a.Proxies.Address(r), agent: r.UserAgent(), token: httpkit.Token(r)}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
}

// signedIn lets only requests with a valid token through.
func (a *api) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account, err := a.Accounts.Authenticate(r.Context(), httpkit.Token(r))
		if err != nil {
			a.door.Fail(w, r, err)
			return
		}
		next.ServeHTTP(w, a.introduce(r, account))
	})
}

// anybody lets every request through.
func (a *api) anybody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, a.introduce(r, nil))
	})
}

// record notes a change that was made. It has happened: that the note fails is
// for the log, not for the caller.
func (a *api) record(ctx context.Context, action, subject string, detail map[string]any) {
	if rehearsing(ctx) {
		return // nothing was changed
	}
	c := callerOf(ctx)
	err := a.Accounts.Record(context.WithoutCancel(ctx), accounts.AuditEntry{
		UserID: c.account.ID, Username: c.account.Username, Address: c.address, Action: action, Subject: subject, Detail: detail,
	})
	if err != nil {
		a.Log.Error("a change is missing in the audit trail", "action", action, "subject", subject, "username", c.account.Username, "error", err)
	}
}
