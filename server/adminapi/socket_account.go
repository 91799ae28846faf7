package adminapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/websocket"

	"muster/server/accounts"
	"muster/server/fault"
	"muster/server/httpkit"
)

// socketAccount says who opens a WebSocket: by token in a header, or by a
// single-use ticket in ?token=, since browsers can send no header here. A token
// of a session is not taken from the URL: URLs end up in logs.
//
// The Origin is looked at first, so that a foreign page uses up no ticket.
func (a *api) socketAccount(r *http.Request) (*accounts.Account, error) {
	if !websocket.IsWebSocketUpgrade(r) {
		if _, err := a.Accounts.Authenticate(r.Context(), httpkit.Token(r)); err != nil {
			return nil, err
		}
		return nil, fault.New(fault.Invalid, "A WebSocket handshake is expected here")
	}
	if !a.originAllowed(r) {
		return nil, fault.New(fault.Forbidden, "Pages of this origin may not open WebSockets here")
	}
	if token := httpkit.Token(r); token != "" {
		return a.Accounts.Authenticate(r.Context(), token)
	}
	return a.Accounts.RedeemTicket(r.Context(), r.URL.Query().Get("token"))
}

// originAllowed reports whether the page that opens the WebSocket is ours or
// configured. Programs send no Origin.
func (a *api) originAllowed(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	origin, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 {
		return false
	}
	if strings.EqualFold(origin.Host, r.Host) && origin.Host != "" {
		return true
	}
	return slices.ContainsFunc(a.Origins, func(allowed string) bool {
		return strings.EqualFold(strings.TrimSuffix(strings.TrimSpace(allowed), "/"), origins[0])
	})
}
