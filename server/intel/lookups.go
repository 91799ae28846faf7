package intel

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"muster/server/database"
	"muster/server/indicator"
	"muster/server/jobs"
)

// VerdictJob is the kind of the job that is added when a service detects a value. Its
// arguments are a VerdictArgs.
const VerdictJob = "intel.verdict"

// VerdictArgs says which verdict it is about.
type VerdictArgs struct {
	Provider Provider       `json:"provider"`
	Type     indicator.Type `json:"type"`
	Value    string         `json:"value"`
}

const (
	stateSetting = "intel_state_" // and the name of the service
	// A service that fails is left alone for firstWait, and twice as long each time.
	firstWait = 30 * time.Second
	lastWait  = 30 * time.Minute
	// setAside is how long a value waits that a service had no good answer to, and
	// maxAttempts how often it is tried.
	setAside    = 10 * time.Minute
	maxAttempts = 5
)

// State is how a service does.
type State struct {
	LastSuccess time.Time
	LastError   string // without secrets; of the last failure, however old
	LastErrorAt time.Time
	Failures    int       // since the last success
	Next        time.Time // it is not asked before
}

// State returns how a service does, and how many values wait for it. Faults: those of
// the database.
func (s *Store) State(ctx context.Context, p Provider) (State, int, error) {
	var state State
	if _, err := s.db.Setting(ctx, stateSetting+string(p), &state); err != nil {
		return State{}, 0, err
	}
	open, err := s.waiting(ctx, p)
	return state, open, err
}

// Lookups asks one service about what waits, within its limits, until nothing waits,
// it fails or ctx ends. One replica calls it for each service every few seconds.
type Lookups struct {
	s       *Store
	p       Provider
	limiter *rate.Limiter
	wait    func(ctx context.Context, requests int) error // for the limiter's leave
}

// Lookups returns what asks the service.
func (s *Store) Lookups(p Provider) *Lookups {
	l := &Lookups{s: s, p: p, limiter: rate.NewLimiter(rate.Every(time.Minute), 1)}
	l.wait = func(ctx context.Context, requests int) error { return l.limiter.WaitN(ctx, requests) }
	return l
}

// Run asks. A service that fails is no failure of Run: its State tells. Faults: those
// of the database.
func (l *Lookups) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		more, err := l.step(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// step makes one call of the service.
func (l *Lookups) step(ctx context.Context) (more bool, err error) {
	active, err := l.s.active(ctx)
	if err != nil {
		return false, err
	}
	settings, on := active[l.p]
	if !on {
		return false, nil
	}
	state, open, err := l.s.State(ctx, l.p)
	if err != nil || open == 0 || l.s.o.Now().Before(state.Next) {
		return false, err
	}
	service := services[l.p]
	some, requests := service.AtOnce(settings.Address)
	values, err := l.s.next(ctx, l.p, settings.types(service), some)
	if err != nil || len(values) == 0 {
		return false, err
	}
	key, err := l.s.Key(ctx, l.p)
	if err != nil {
		return false, l.note(ctx, state, errors.New("the key cannot be opened"), values)
	}
	l.limiter.SetLimit(rate.Every(time.Minute / time.Duration(settings.PerMinute)))
	l.limiter.SetBurst(max(requests, 1))
	if err := l.wait(ctx, requests); err != nil {
		return false, nil //nolint:nilerr // ctx ends before it is our turn
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.Value
	}
	verdicts, err := service.Ask(ctx, newCaller(settings.Address, key, settings), values[0].Type, texts)
	if err != nil {
		if ctx.Err() != nil {
			return false, nil // it was we who ended
		}
		return false, l.note(ctx, state, err, values)
	}
	return true, l.store(ctx, state, settings, verdicts)
}

// store keeps verdicts, with a job for each that detects something.
func (l *Lookups) store(ctx context.Context, state State, settings ServiceSettings, verdicts []Verdict) error {
	now := l.s.o.Now()
	detected := 0
	err := l.s.db.Tx(ctx, func(tx *database.DB) error {
		for _, v := range verdicts {
			until, found := now.Add(settings.CleanFor), 0
			if v.Detected {
				until, found = now.Add(settings.FoundFor), 1
				detected++
			}
			text := string(v.Report)
			if text == "" {
				text = "{}"
			}
			err := tx.Write(ctx).Exec(`UPDATE verdicts SET detected = ?, severity = ?, report = ?, checked_at = ?, expires_at = ?, attempts = 0
				WHERE provider = ? AND type = ? AND value = ?`,
				found, v.Severity, text, database.Micros(now), database.Micros(until), string(l.p), string(v.Type), v.Value).Error
			if err != nil {
				return err
			}
			if v.Detected && l.s.o.Jobs != nil {
				err = l.s.o.Jobs.With(tx).Add(ctx, jobs.NewJob{Kind: VerdictJob, Args: VerdictArgs{l.p, v.Type, v.Value}, Key: string(l.p) + ":" + string(v.Type) + ":" + v.Value})
				if err != nil {
					return err
				}
			}
		}
		state.LastSuccess, state.Failures, state.Next = now, 0, time.Time{}
		return tx.SetSetting(ctx, stateSetting+string(l.p), state)
	})
	if err == nil && detected > 0 && l.s.o.Jobs != nil {
		l.s.o.Jobs.Hint()
	}
	return err
}

// note keeps what went wrong, and leaves the service alone for a while. Values that it
// answered nonsense to are set aside, and given up in the end, so that others get on.
func (l *Lookups) note(ctx context.Context, state State, cause error, values []Sought) error {
	now := l.s.o.Now()
	state.Failures++
	wait := min(lastWait, firstWait<<min(state.Failures-1, 10))
	var limited errLimited
	switch {
	case errors.As(cause, &limited):
		wait = limited.wait
		state.Failures--
	case errors.Is(cause, errKey):
		wait = lastWait
	}
	state.LastError, state.LastErrorAt, state.Next = cutText(cause.Error(), 300), now, now.Add(wait)
	if !errors.As(cause, &limited) {
		l.s.log.Warn("a reputation service could not be asked", "service", string(l.p), "error", cause, "failures", state.Failures, "retry_in", wait)
	}
	tries := 0
	if errors.Is(cause, errNonsense) {
		tries = 1
	}
	return l.s.db.Tx(ctx, func(tx *database.DB) error {
		for _, v := range values {
			err := tx.Write(ctx).Exec("UPDATE verdicts SET attempts = attempts + ?, try_at = ? WHERE provider = ? AND type = ? AND value = ?",
				tries, database.Micros(now.Add(setAside)), string(l.p), string(v.Type), v.Value).Error
			if err != nil {
				return err
			}
		}
		err := tx.Write(ctx).Exec("UPDATE verdicts SET checked_at = ?, expires_at = ? WHERE provider = ? AND checked_at = 0 AND attempts >= ?",
			database.Micros(now), database.Micros(now.Add(24*time.Hour)), string(l.p), maxAttempts).Error
		if err != nil {
			return err
		}
		return tx.SetSetting(ctx, stateSetting+string(l.p), state)
	})
}
