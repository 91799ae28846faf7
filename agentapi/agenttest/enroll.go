package agenttest

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fastjson"
)

// ErrNoKey comes back when every attempt to enroll failed.
var ErrNoKey = errors.New("no node key received")

// Enroll gets a node key unless the agent has one, as at a start. The error is
// ErrNoKey after tls_enroll_max_attempts.
func (a *Agent) Enroll(ctx context.Context) error {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	_, err = a.nodeKey(ctx)
	return err
}

// NodeKey is the key the agent holds now, empty without one.
func (a *Agent) NodeKey() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.disk.NodeKey
}

// nodeKey returns the key or enrolls. One thread enrolls, the others wait.
func (a *Agent) nodeKey(ctx context.Context) (string, error) {
	a.enrollMu.Lock()
	defer a.enrollMu.Unlock()
	if key := a.NodeKey(); key != "" {
		return key, nil
	}
	limit := a.flags.int("tls_enroll_max_attempts")
	for n := 1; ; n++ {
		key, err := a.enrollOnce(ctx)
		if err == nil {
			return key, nil
		}
		if errors.Is(err, ErrCrashed) || ctx.Err() != nil {
			return "", err
		}
		a.failed(ctx, EndpointEnroll, err)
		if limit > 0 && n >= limit {
			return "", ErrNoKey
		}
		wait := min(time.Duration(n*n)*time.Second, a.flags.seconds("tls_enroll_max_interval"))
		if err := a.clock.Sleep(ctx, wait); err != nil {
			return "", err
		}
	}
}

// enrollOnce is one request. Only node_key, else id, is read from the answer:
// error and node_invalid beside one of them count for nothing (section 1.2).
func (a *Agent) enrollOnce(ctx context.Context) (string, error) {
	object, err := a.exchange(ctx, post{endpoint: EndpointEnroll, body: a.enrollBody()})
	if err != nil {
		return "", err
	}
	key := stringOf(object.Get("node_key"))
	if object.Get("node_key") == nil {
		key = stringOf(object.Get("id"))
	}
	if key == "" {
		return "", errRefused
	}
	if err := a.crash(StepEnrolled); err != nil {
		return "", err
	}
	a.count.enrolls.Add(1)
	a.mu.Lock()
	a.disk.NodeKey = key
	a.mu.Unlock()
	a.save()
	return key, nil
}

// clearKey deletes the key, whichever it is by now: an old request's answer can
// cost the agent a fresh key (section 1.5).
func (a *Agent) clearKey() {
	a.count.cleared.Add(1)
	a.mu.Lock()
	if a.disk.NodeKey != "" {
		a.oldKey = a.disk.NodeKey
	}
	a.disk.NodeKey = ""
	a.mu.Unlock()
	a.save()
}

// keyForLog is the key of a log request: once after a re-enrolment, chaos may
// have it be the one before.
func (a *Agent) keyForLog(key string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.oldKey
	a.oldKey = ""
	if a.opt.Chaos.OldKeyAfterReenroll && old != "" {
		return old
	}
	return key
}

// enrollBody is section 1.1: the first row of each of four tables, straight
// from the table, all values strings, a table without rows missing.
func (a *Agent) enrollBody() []byte {
	var details members
	for _, name := range []string{"os_version", "osquery_info", "platform_info", "system_info"} {
		if row := a.firstRow(name); row != nil {
			details.obj(name, row)
		}
	}
	var body members
	body.str("enroll_secret", a.opt.Secret)
	body.str("host_identifier", a.HostIdentifier())
	body.str("platform_type", strconv.FormatInt(a.machine.platform.mask(), 10))
	body.obj("host_details", details)
	return body.json()
}

// HostIdentifier is what --host_identifier makes of this host.
func (a *Agent) HostIdentifier() string {
	switch a.flags.get("host_identifier") {
	case "uuid":
		return a.machine.uuid
	case "instance":
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.disk.InstanceID
	case "ephemeral":
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.ephemeral
	case "specified":
		return a.flags.get("specified_identifier")
	default:
		return a.machine.hostname
	}
}

// stringOf is the text of a JSON string, and empty for anything else.
func stringOf(value *fastjson.Value) string {
	if value == nil || value.Type() != fastjson.TypeString {
		return ""
	}
	return string(value.GetStringBytes())
}
