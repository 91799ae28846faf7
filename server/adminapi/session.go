package adminapi

import (
	"context"
	"errors"
	"net/http"

	"muster/server/accounts"
	"muster/server/fault"
	"muster/server/httpkit"
)

func (a *api) userRoutes() []route {
	open, in := a.anybody, a.signedIn
	login := &httpkit.Door{Log: a.Log, Success: success, Failure: loginFailure}
	return []route{
		{"POST", "/login", open, handleWith(login, a.login), "Fetch a token for an account"},
		{"POST", "/logout", open, handle(a, a.logout), "End the session of the token"},
		{"POST", "/changepw", in, act(a, a.changePassword), "Change the password of the account"},
		{"POST", "/management/changepw", in, act(a, a.changePassword), "Change the password of the account (other path)"},
		{"GET", "/version", in, handle(a, a.version), "View the version of the server"},
	}
}

type loginRequest struct {
	Username string `arg:"username"`
	Password string `arg:"password,body"`
}

// Check refuses what is missing, in the original's words (reference 1.1).
func (r *loginRequest) Check() error {
	if r.Username == "" || r.Password == "" {
		return fault.New(fault.Invalid, "Username and/or Password is/are missing!")
	}
	return nil
}

// loginAnswer has the token under both names: the document's and the one that
// the published clients read.
type loginAnswer struct {
	Status       string `json:"status"`
	Message      string `json:"message"`
	XAccessToken string `json:"x-access-token"`
	Token        string `json:"token"`
}

func (a *api) login(ctx context.Context, r loginRequest) (loginAnswer, error) {
	c := callerOf(ctx)
	token, err := a.Accounts.Login(ctx, accounts.Login{Username: r.Username, Password: r.Password, Address: c.address, UserAgent: c.agent})
	if err != nil {
		return loginAnswer{}, err
	}
	return loginAnswer{Status: "success", Message: "user logged in successfully", XAccessToken: token, Token: token}, nil
}

// loginFailure says what the original says of a body that is no JSON (reference
// 1.1), and the rest as elsewhere.
func loginFailure(w http.ResponseWriter, r *http.Request, status int, err error) {
	if errors.Is(err, httpkit.ErrJSON) {
		err = fault.Wrap(err, fault.Invalid, "JSON Decode Error!")
	}
	failure(w, r, status, err)
}

type nothing struct{}

func (a *api) logout(ctx context.Context, _ nothing) (answer[none], error) {
	c := callerOf(ctx)
	if err := a.Accounts.Logout(ctx, c.token, c.address); err != nil {
		return answer[none]{}, err
	}
	return answer[none]{message: "user logged out successfully"}, nil
}

type changePasswordRequest struct {
	Old     string `arg:"old_password,required,body"`
	New     string `arg:"new_password,required,body"`
	Confirm string `arg:"confirm_new_password,required,body"`
}

func (a *api) changePassword(ctx context.Context, r changePasswordRequest) (answer[none], error) {
	c := callerOf(ctx)
	err := a.Accounts.ChangePassword(ctx, accounts.ChangePassword{
		Account: c.account, Old: r.Old, New: r.New, Confirm: r.Confirm, Address: c.address,
	})
	if err != nil {
		return answer[none]{}, err
	}
	return answer[none]{message: "password is updated successfully"}, nil
}

type versionView struct {
	Version string `json:"version"`
}

func (a *api) version(context.Context, nothing) (answer[versionView], error) {
	return answer[versionView]{"Successfully fetched the version of the server", versionView{a.Version}}, nil
}
