package agenttest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// carving is one carve the agent knows of.
type carving struct {
	GUID, RequestID, Status, SHA256 string
	Paths                           []string
	Time, Size                      int64
}

// The states of a carve, as the carves table shows them.
const (
	carveScheduled = "SCHEDULED"
	carveStarting  = "STARTING"
	carvePending   = "PENDING"
	carveSuccess   = "SUCCESS"
	carveFailed    = "DATA POST FAILED"
)

// carvesRows is the carves table. With carve=1 it schedules one carve for each
// path asked for and shows them as the rows with carve 1; the others follow.
func carvesRows(v *view) []record {
	a := v.agent
	var fresh []*carving
	if carveWanted.MatchString(v.look.sql) && !a.flags.bool("disable_carver") {
		for _, pattern := range asked(v.look.sql, "path") {
			if paths := v.matching(pattern); len(paths) > 0 {
				fresh = append(fresh, a.scheduleCarve(paths, v.now))
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var rows []record
	for _, c := range fresh {
		rows = append(rows, c.row("1"))
	}
	for _, c := range a.disk.Carves {
		if !slices.Contains(fresh, c) {
			rows = append(rows, c.row("0"))
		}
	}
	return rows
}

func (c *carving) row(carve string) record {
	return record{
		"time": num(c.Time), "sha256": c.SHA256, "size": num(c.Size), "path": strings.Join(c.Paths, ","), "status": c.Status,
		"carve_guid": c.GUID, "request_id": c.RequestID, "carve": carve,
	}
}

func (a *Agent) scheduleCarve(paths []string, now time.Time) *carving {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &carving{
		GUID: randomUUID(a.dice, false), RequestID: randomUUID(a.dice, false),
		Status: carveScheduled, Paths: paths, Time: now.Unix(), Size: -1,
	}
	a.disk.Carves = append(a.disk.Carves, c)
	a.wakeCarver()
	return c
}

// wakeCarver makes the loop look. The caller holds mu.
func (a *Agent) wakeCarver() {
	select {
	case a.mem.carveWake <- struct{}{}:
	default:
	}
}

// RunCarves carries out the carves that are scheduled, one after the other, as
// the agent does when a minute begins. The error is the last failure's.
func (a *Agent) RunCarves(ctx context.Context) error {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var failure error
	for {
		a.mu.Lock()
		next := slices.IndexFunc(a.disk.Carves, func(c *carving) bool { return c.Status == carveScheduled })
		if next < 0 {
			a.mu.Unlock()
			return failure
		}
		c := a.disk.Carves[next]
		a.mu.Unlock()
		a.setCarve(c, carveStarting)
		switch err := a.carve(ctx, c); {
		case err == nil:
			a.count.carvesDone.Add(1)
			a.setCarve(c, carveSuccess)
		case ctx.Err() != nil || errors.Is(err, ErrCrashed):
			return err // not resumed after a restart
		default:
			failure = err
			a.count.carvesFailed.Add(1)
			a.setCarve(c, carveFailed)
		}
		a.save()
	}
}

func (a *Agent) setCarve(c *carving, status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.Status = status
}

// carve is the upload: a start and then the blocks, in order (section 5).
func (a *Agent) carve(ctx context.Context, c *carving) error {
	archive, err := a.archive(c)
	if err != nil {
		return err
	}
	a.mu.Lock()
	c.Size, c.SHA256 = int64(len(archive)), contentHash("sha256", archive)
	a.mu.Unlock()
	session, err := a.startCarve(ctx, c)
	if err != nil {
		return err
	}
	a.setCarve(c, carvePending)
	if err := a.crash(StepCarveStarted); err != nil {
		return err
	}
	size := a.blockSize()
	for block := 0; block*size < len(archive); block++ {
		data := archive[block*size : min(len(archive), (block+1)*size)]
		err := a.sendBlock(ctx, c, session, block, data)
		if err != nil && (a.profile.carveRetries || ctx.Err() != nil) {
			return fmt.Errorf("block %d: %w", block, err)
		}
		if err := a.crash(StepCarveBlock); err != nil { // an older agent has lost the block silently
			return err
		}
	}
	return nil
}

func (a *Agent) startCarve(ctx context.Context, c *carving) (session string, err error) {
	size := a.blockSize()
	answer, err := a.carverCall(ctx, EndpointCarveStart, func(key string) []byte {
		var body members
		body.num("block_count", (c.Size+int64(size)-1)/int64(size))
		body.num("block_size", int64(size))
		body.num("carve_size", c.Size)
		body.str("carve_id", c.GUID)
		body.str("request_id", c.RequestID)
		body.str("node_key", key)
		return body.json()
	})
	if err != nil {
		return "", err
	}
	if answer.session == "" {
		return "", errors.New("no session_id received from the server")
	}
	return answer.session, nil
}

func (a *Agent) blockSize() int { return max(a.flags.int("carver_block_size"), 1) }

func (a *Agent) sendBlock(ctx context.Context, c *carving, session string, block int, data []byte) error {
	_, err := a.carverCall(ctx, EndpointCarveBlock, func(string) []byte {
		var body members
		body.num("block_id", int64(block))
		body.str("session_id", session)
		body.str("request_id", c.RequestID)
		body.str("data", base64.StdEncoding.EncodeToString(data))
		return body.json()
	})
	return err
}

// carverAnswer is all the carver reads.
type carverAnswer struct{ session string }

// carverCall posts under the carver's own rules: neither error nor node_invalid
// count, only an answer that is no JSON or none at all fails. From 5.22 on there
// are three attempts.
func (a *Agent) carverCall(ctx context.Context, e Endpoint, body func(key string) []byte) (carverAnswer, error) {
	attempts := 1
	if a.profile.carveRetries {
		attempts = 3
	}
	for n := 1; ; n++ {
		key, err := a.nodeKey(ctx)
		if err != nil {
			return carverAnswer{}, err
		}
		object, err := a.exchange(ctx, post{endpoint: e, key: key, body: body(key)})
		if err == nil {
			return carverAnswer{stringOf(object.Get("session_id"))}, nil
		}
		a.failed(ctx, e, err)
		if n >= attempts || ctx.Err() != nil {
			return carverAnswer{}, err
		}
		if err := a.clock.Sleep(ctx, time.Duration(n*n)*time.Second); err != nil {
			return carverAnswer{}, err
		}
	}
}
