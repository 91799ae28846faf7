package agenttest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// planned is a query that this host runs.
type planned struct {
	scheduled
	resultName string
	splayed    int64 // seconds
}

// plan is the schedule of this host under one config, until discovery is asked anew.
type plan struct {
	queries    []planned
	categories map[string][]string // file_paths
	until      time.Time
}

// check is the cached outcome of a pack's discovery.
type check struct {
	active bool
	until  time.Time
}

// schedule returns what this host runs now.
func (a *Agent) schedule(ctx context.Context) []planned {
	return a.currentPlan(ctx).queries
}

func (a *Agent) currentPlan(ctx context.Context) *plan {
	now := a.now()
	a.mu.Lock()
	d, kept := a.mem.config, a.mem.plan
	a.mu.Unlock()
	if kept != nil && now.Before(kept.until) {
		return kept
	}
	fresh := &plan{until: now.Add(max(a.flags.seconds("pack_refresh_interval"), time.Second))}
	if d == nil {
		return fresh
	}
	var active []pack
	for _, p := range d.packs {
		if p.name == mainPack || a.packActive(ctx, p, now) {
			active = append(active, p)
			fresh.queries = append(fresh.queries, a.planPack(p)...)
		}
	}
	fresh.categories = d.categories(active)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mem.config == d {
		a.mem.plan = fresh
	}
	return fresh
}

// planPack takes the queries of an active pack that fit this host.
func (a *Agent) planPack(p pack) []planned {
	var queries []planned
	for _, q := range p.queries {
		if q.warning != "" || a.profile.reservedNames && reservedName(q.name) || !a.fits(q.platform, q.version, q.shard) {
			continue
		}
		if q.interval < 0 {
			q.interval = a.flags.int("schedule_default_interval")
		}
		name := q.name
		if p.name != mainPack {
			name = strings.Join([]string{"pack", p.name, q.name}, a.flags.get("pack_delimiter"))
		}
		queries = append(queries, planned{q, name, a.splay(q.name, q.interval)})
	}
	return queries
}

// packActive applies platform, version, shard and discovery, all of which must
// hold. A discovery query that fails makes the pack inactive.
func (a *Agent) packActive(ctx context.Context, p pack, now time.Time) bool {
	if !a.fits(p.platform, p.version, p.shard) {
		return false
	}
	if len(p.discovery) == 0 {
		return true
	}
	a.mu.Lock()
	kept, ok := a.mem.discovered[p.name]
	a.mu.Unlock()
	if ok && now.Before(kept.until) {
		return kept.active
	}
	active := true
	for _, sql := range p.discovery {
		found, err := a.query(ctx, look{sql: sql})
		if err != nil || len(found.rows) == 0 {
			active = false
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mem.discovered[p.name] = check{active, now.Add(a.flags.seconds("pack_refresh_interval"))}
	return active
}

func (a *Agent) fits(platform, version string, shard int) bool {
	return platformFits(platform, a.machine.platform) &&
		versionAtLeast(a.profile.release, version) &&
		(shard <= 0 || shard >= a.machine.shard())
}

// platformFits is osquery's substring test (section 2.4).
func platformFits(wanted string, platform Platform) bool {
	if wanted == "" || wanted == "null" || strings.Contains(wanted, "any") || strings.Contains(wanted, "all") {
		return true
	}
	if platform == Linux {
		for _, word := range []string{"linux", "ubuntu", "centos"} {
			if strings.Contains(wanted, word) {
				return true
			}
		}
	}
	if strings.Contains(wanted, "posix") && platform != Windows {
		return true
	}
	return strings.Contains(wanted, string(platform))
}

func versionAtLeast(have, wanted string) bool {
	if wanted == "" {
		return true
	}
	has, wants := versionNumbers(have), versionNumbers(wanted)
	for i := range has {
		if has[i] != wants[i] {
			return has[i] > wants[i]
		}
	}
	return true
}

func versionNumbers(version string) (numbers [3]int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if digits >= 0 {
			part = part[:digits]
		}
		numbers[i], _ = strconv.Atoi(part)
	}
	return numbers
}

// splay moves an interval by up to schedule_splay_percent, once for each bare
// query name and interval: two packs with a query of one name share it.
func (a *Agent) splay(name string, interval int) int64 {
	if every := a.opt.Intervals.Schedule; every > 0 {
		return max(1, int64(every/time.Second))
	}
	key := fmt.Sprintf("%s %d", name, interval)
	percent := a.flags.int("schedule_splay_percent")
	if percent <= 1 || percent > 100 {
		percent = 10
	}
	reach := int(math.Round(float64(interval) * float64(percent) / 100))
	a.mu.Lock()
	defer a.mu.Unlock()
	splayed, ok := a.disk.Splay[key]
	if !ok {
		splayed = interval
		if reach > 0 {
			splayed += a.machine.random("splay "+key).IntN(2*reach+1) - reach
		}
		a.disk.Splay[key] = splayed
	}
	return max(1, int64(splayed))
}
