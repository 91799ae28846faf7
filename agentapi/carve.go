package agentapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"muster/server/carves"
	"muster/server/fault"
	"muster/server/hosts"
)

// carveStart opens an upload (osquery-tls 5.3). Agents retry on anything that is
// no JSON and give up on JSON without session_id.
func (d *Door) carveStart(ctx context.Context, r *http.Request) ([]byte, error) {
	host, f, err := d.identify(ctx, r, d.limits.Request)
	if err != nil {
		return nil, err
	}
	session, err := d.Carves.Start(ctx, host.ID, carves.Start{
		GUID: f.text("carve_id"), RequestID: f.text("request_id"),
		Size: f.number("carve_size"), BlockSize: f.number("block_size"), BlockCount: f.number("block_count"),
	})
	if err != nil {
		return nil, err
	}
	d.Hosts.Seen(host.ID, hosts.ContactCarve, d.Address(r))
	return json.Marshal(map[string]string{"session_id": session})
}

// carveBlock takes one block (osquery-tls 5.4). No agent sends a node key in the
// body here: before 5.23 the session is all there is.
func (d *Door) carveBlock(ctx context.Context, r *http.Request) ([]byte, error) {
	var hostID int64
	if headerKey(r) != "" {
		host, err := d.authenticate(ctx, r, "")
		if err != nil {
			return nil, err
		}
		hostID = host.ID
	}
	f, err := readFields(r, d.limits.Block)
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(f.text("data"))
	if err != nil {
		return nil, fault.New(fault.Invalid, "data is no base64")
	}
	id, given := f.values["block_id"]
	if !given {
		return nil, fault.New(fault.Invalid, "block_id is missing")
	}
	err = d.Carves.Block(ctx, carves.Block{
		SessionID: f.text("session_id"), RequestID: f.text("request_id"), ID: number(id), Data: data, HostID: hostID,
	})
	if err != nil {
		return nil, err
	}
	return accepted, nil
}
