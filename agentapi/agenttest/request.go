package agenttest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/valyala/fastjson"
)

// errAnswerLost is what chaos makes of an answer that did arrive.
var errAnswerLost = errors.New("request timed out")

// Failures that an answer's body asks for.
var (
	errNodeInvalid = errors.New("request failed: invalid node key")
	errRefused     = errors.New("request failed")
)

// call is one request of the config, logger or distributed plugin.
type call struct {
	endpoint Endpoint
	attempts int
	gzipped  bool
	body     func(key string) []byte
}

// call posts until an attempt succeeds, waiting n² seconds after the n-th
// without jitter. It enrolls first when there is no key.
func (a *Agent) call(ctx context.Context, c call) (*fastjson.Object, error) {
	for n := 1; ; n++ {
		object, err := a.callOnce(ctx, c)
		if err == nil || n >= c.attempts || ctx.Err() != nil {
			return object, err
		}
		if err := a.clock.Sleep(ctx, time.Duration(n*n)*time.Second); err != nil {
			return nil, err
		}
	}
}

// callOnce is one attempt under the rules of section 0: the status counts for
// nothing, an empty body is {}, and error or node_invalid:true fail.
func (a *Agent) callOnce(ctx context.Context, c call) (*fastjson.Object, error) {
	key, err := a.nodeKey(ctx)
	if err != nil {
		return nil, err
	}
	if c.endpoint == EndpointLog {
		key = a.keyForLog(key)
	}
	object, err := a.exchange(ctx, post{endpoint: c.endpoint, key: key, gzipped: c.gzipped, body: c.body(key)})
	if err == nil {
		err = a.judge(object)
	}
	if err != nil {
		a.failed(ctx, c.endpoint, err)
		return nil, err
	}
	return object, nil
}

// judge applies the two control members.
func (a *Agent) judge(object *fastjson.Object) error {
	if invalid := object.Get("node_invalid"); invalid != nil && invalid.Type() == fastjson.TypeTrue {
		if !a.flags.bool("disable_reenrollment") {
			a.clearKey()
		}
		return errNodeInvalid
	}
	if object.Get("error") != nil {
		return errRefused
	}
	return nil
}

// exchange sends p and parses what comes back.
func (a *Agent) exchange(ctx context.Context, p post) (*fastjson.Object, error) {
	answer, err := a.deliver(ctx, p)
	if err != nil {
		return nil, err
	}
	object, err := parseObject(answer.body)
	if errors.Is(err, errNotObject) {
		a.count.undefined.Add(1)
	}
	return object, err
}

// deliver sends p to its endpoint, with whatever chaos does on the way.
func (a *Agent) deliver(ctx context.Context, p post) (reply, error) {
	target, err := a.endpointURL(p.endpoint)
	if err != nil {
		return reply{}, err
	}
	p.url = target
	if !a.profile.authHeader {
		p.key = ""
	}
	if p.gzipped {
		p.body = deflate(p.body)
	}
	if p.endpoint == EndpointLog && a.chance(a.opt.Chaos.DuplicateBatch) {
		if _, err := a.net.send(ctx, p); err != nil {
			return reply{}, err
		}
	}
	answer, err := a.net.send(ctx, p)
	if err == nil && a.chance(a.opt.Chaos.LoseAnswer) {
		return reply{}, errAnswerLost
	}
	return answer, err
}

func (a *Agent) endpointURL(e Endpoint) (*url.URL, error) {
	names := [...]string{"enroll_tls_endpoint", "config_tls_endpoint", "logger_tls_endpoint",
		"distributed_tls_read_endpoint", "distributed_tls_write_endpoint", "carver_start_endpoint", "carver_continue_endpoint"}
	return a.server.Parse(a.flags.get(names[e]))
}

// failed notes a failure, unless the agent broke off itself. The text goes to the
// test's log, not to the server.
func (a *Agent) failed(ctx context.Context, e Endpoint, err error) {
	if ctx.Err() != nil {
		return
	}
	a.count.failures[e].Add(1)
	a.log.Debug("agent request failed", "endpoint", e.String(), "error", err)
}

var deflaters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func deflate(body []byte) []byte {
	var out bytes.Buffer
	writer := deflaters.Get().(*gzip.Writer)
	defer deflaters.Put(writer)
	writer.Reset(&out)
	_, _ = writer.Write(body) // a bytes.Buffer takes everything
	_ = writer.Close()
	return out.Bytes()
}
