package detect

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/fault"
)

// Draft is a rule to try: one of the three.
type Draft struct {
	RuleID     int64           // one that is stored, with its exceptions
	Conditions json.RawMessage // of the query builder
	Sigma      string          // the text of one rule
}

// Probe is a rule to be tried on rows that are stored. It serves one goroutine.
type Probe struct {
	Rule Rule // of a draft: what is known of it
	// Where is true of every row that the rule meets, and perhaps of others; nil: of
	// every row.
	Where *condition.Tree

	variants   []variant
	exceptions *snapshot
	own        map[string]string
	now        time.Time
}

// Verdict is what a rule says of a row.
type Verdict struct {
	Met        bool
	Suppressed bool // by an exception
	Undecided  bool // there was no time to find out
	Why        []condition.Evidence
}

// Probe makes a rule ready to be tried. A stored one need not be active. Faults:
// Invalid unless the draft is one of the three, and for conditions that are wrong;
// NotFound; Unprocessable for a rule that cannot be evaluated, and why.
func (s *Store) Probe(ctx context.Context, d Draft) (*Probe, error) {
	p := &Probe{own: map[string]string{}, exceptions: &snapshot{}, now: s.o.Now()}
	given := 0
	for _, is := range []bool{d.RuleID != 0, len(d.Conditions) > 0, d.Sigma != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, fault.New(fault.Invalid, "Name a rule, or send conditions, or Sigma text: one of the three")
	}
	if d.RuleID != 0 {
		if err := s.probeStored(ctx, p, d.RuleID); err != nil {
			return nil, err
		}
	} else {
		p.Rule = Rule{Conditions: d.Conditions, Source: d.Sigma}
		if d.Sigma != "" && !fits(d.Sigma, maxDocument) {
			return nil, fault.New(fault.Unprocessable, "The Sigma text of a rule has at most %d KiB of UTF-8", maxDocument>>10)
		}
		if d.Sigma == "" {
			if _, err := parseConditions(d.Conditions); err != nil {
				return nil, err
			}
		}
	}
	if p.variants = s.readable(&p.Rule); p.Rule.Problem != "" {
		return nil, fault.New(fault.Unprocessable, "The rule cannot be evaluated: %s", p.Rule.Problem)
	}
	p.Where, _ = parseConditions(p.Rule.Conditions) // all variants together may be too large for one condition
	return p, nil
}

func (s *Store) probeStored(ctx context.Context, p *Probe, id int64) (err error) {
	if p.Rule, err = readRule(ctx, s.db, id); err != nil {
		return err
	}
	exceptions, err := readExceptions(ctx, s.db, "rule_id IN ? AND (expires_at = 0 OR expires_at > ?)", []int64{id, 0}, database.Micros(p.now))
	p.exceptions.exceptions = s.loadExceptions(exceptions, &snapshot{})
	return err
}

// Try evaluates the rule on a row, with its reasons if they are asked for. It takes
// as long as Event.Within, which has to be given.
func (p *Probe) Try(e Event, why bool) (v Verdict) {
	e.Platform = family(e.Platform)
	deadline := time.Now().Add(e.Within)
	p.own["query_name"], p.own["action"], p.own["host_identifier"] = e.Query, e.Action, e.HostIdentifier
	p.own["timestamp"] = strconv.FormatInt(e.UnixTime, 10)
	e.Row.Own = p.own
	e.Row.Ended = func() bool {
		v.Undecided = v.Undecided || !time.Now().Before(deadline)
		return v.Undecided
	}
	defer func() { e.Row.Own, e.Row.Ended = nil, nil }()
	for i := range p.variants {
		if !p.variants[i].concerns(e) || !p.variants[i].tree.Match(e.Row) {
			continue
		}
		suppressed := p.exceptions.exception(p.Rule.ID, e.Row, p.now) != nil
		if v.Undecided {
			return v
		}
		v.Met, v.Suppressed = true, suppressed
		if why && !suppressed {
			v.Why = p.variants[i].tree.Explain(e.Row)
		}
		break
	}
	return v
}

// concerns reports whether the variant is about the event's tables and platform, as
// the matcher does.
func (v *variant) concerns(e Event) bool {
	if len(v.platforms) > 0 && !slices.Contains(v.platforms, e.Platform) {
		return false
	}
	return len(v.tables) == 0 || slices.ContainsFunc(e.Tables, func(table string) bool { return slices.Contains(v.tables, table) })
}
