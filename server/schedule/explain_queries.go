package schedule

import (
	"crypto/sha1" //nolint:gosec // osquery's way to number hosts, no protection
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"muster/server/hosts"
)

// explainer goes through all that could come to one host.
type explainer struct {
	host     *hosts.Host
	platform string
	snapshot *snapshot
	config   *platformConfig
	sent     map[string]json.RawMessage // the config's top level
	shard    int
}

func (x *explainer) configQueries() []ExplainedQuery {
	source := Source{Kind: "config", ID: x.config.row.ID, Name: ConfigKey{x.config.row.Platform, x.config.row.Arch, x.config.row.Type}.String()}
	sent := members(x.sent["schedule"])
	var queries []ExplainedQuery
	for _, name := range slices.Sorted(maps.Keys(x.config.document.queries)) {
		q := ExplainedQuery{Name: name, Query: x.config.document.queries[name], Source: source}
		switch _, there := sent[name]; {
		case !q.Query.Status:
			q.refuse("it is switched off in the config")
		case !there:
			q.refuse(leftOut)
		default:
			x.judge(&q, q.Query.Platform, q.Query.Version, q.Query.Shard)
		}
		queries = append(queries, q)
	}
	return queries
}

const leftOut = "it is left out: with it, the config would not be one that agents take"

// tagQueries are those with a tag of the host, by name and then id.
func (x *explainer) tagQueries() []ExplainedQuery {
	sent := members(x.sent["schedule"])
	first := map[string]int64{} // that would come, by name
	var queries []ExplainedQuery
	for _, ready := range x.snapshot.tagged {
		if !shares(ready.tagIDs, x.host.TagIDs) {
			continue
		}
		q := ExplainedQuery{Name: ready.Name, Query: ready.Query, Source: Source{Kind: "query", ID: ready.ID, Name: ready.Name, Tags: x.matched(ready.Tags)}}
		older, shadowed := first[ready.Name]
		_, there := sent[ready.Name]
		switch {
		case !runsOn(ready.Platform, x.platform):
			x.judge(&q, ready.Platform, "", 0)
		case x.config.document.queries[ready.Name].Status:
			q.refuse("the config has a query of its name")
		case shadowed:
			q.refuse(fmt.Sprintf("the query %d has the same name and is older", older))
		case !there:
			q.refuse(leftOut)
		default:
			x.judge(&q, ready.Platform, ready.Version, ready.Shard)
		}
		if runsOn(ready.Platform, x.platform) && !shadowed {
			first[ready.Name] = ready.ID
		}
		queries = append(queries, q)
	}
	slices.SortStableFunc(queries, func(a, b ExplainedQuery) int { return strings.Compare(a.Name, b.Name) })
	return queries
}

// packQueries are those of packs with a tag of the host, by pack and name.
func (x *explainer) packQueries() []ExplainedQuery {
	sent := members(x.sent["packs"])
	var queries []ExplainedQuery
	for _, p := range x.snapshot.packs {
		if !shares(p.tagIDs, x.host.TagIDs) {
			continue
		}
		_, there := sent[p.Name]
		source := Source{Kind: "pack", ID: p.ID, Name: p.Name, Tags: x.matched(p.Tags)}
		for _, name := range slices.Sorted(maps.Keys(p.Queries)) {
			q := ExplainedQuery{Name: "pack" + packDelimiter + p.Name + packDelimiter + name, Query: p.Queries[name], Source: source}
			x.judgePacked(&q, p, there)
			queries = append(queries, q)
		}
	}
	return queries
}

func (x *explainer) judgePacked(q *ExplainedQuery, p *renderedPack, there bool) {
	x.judge(q, p.Platform, p.Version, p.Shard)
	if q.Runs == RunsNot {
		q.Reason = "of its pack: " + q.Reason
		return
	}
	packs := q.Reason
	x.judge(q, q.Query.Platform, q.Query.Version, q.Query.Shard)
	switch {
	case q.Runs == RunsNot:
	case !there:
		q.refuse(leftOut)
	case len(p.Discovery) > 0:
		q.Runs, q.Reason = RunsIf, "it runs while all discovery queries of its pack have rows"
	case packs != "":
		q.Runs, q.Reason = RunsIf, packs
	}
}

func (q *ExplainedQuery) refuse(reason string) { q.Runs, q.Reason = RunsNot, reason }

// judge decides as osquery would (osquery-tls 2.4).
func (x *explainer) judge(q *ExplainedQuery, platform, version string, shard int) {
	q.Runs, q.Reason = Runs, ""
	switch {
	case !runsOn(platform, x.platform):
		q.refuse(fmt.Sprintf("it is for the platform %s", platform))
	case shard > 0 && x.host.Hostname == "":
		q.Runs, q.Reason = RunsIf, fmt.Sprintf("it is for %d percent of the hosts, and the host's name is not known", shard)
	case shard > 0 && shard < x.shard:
		q.refuse(fmt.Sprintf("it is for %d percent of the hosts, and this one is in percent %d", shard, x.shard))
	case version == "":
	case x.host.OsqueryVersion == "":
		q.Runs, q.Reason = RunsIf, fmt.Sprintf("it runs if osquery is %s or newer, and its version is not known", version)
	case older(x.host.OsqueryVersion, version):
		q.refuse(fmt.Sprintf("it needs osquery %s, and the host has %s", version, x.host.OsqueryVersion))
	}
}

// matched are the tags that a query or pack shares with the host.
func (x *explainer) matched(tags []string) []string {
	var both []string
	for _, tag := range tags {
		if slices.Contains(x.host.Tags, tag) {
			both = append(both, tag)
		}
	}
	return both
}

func shares(a, b []int64) bool {
	return slices.ContainsFunc(a, func(id int64) bool { return slices.Contains(b, id) })
}

// shardOf is the percent that osquery counts a host in, by its name.
func shardOf(hostname string) int {
	sum := sha1.Sum([]byte(hostname)) //nolint:gosec // see above
	return int(sum[0]) * 100 / 255
}

// older reports whether version a of osquery comes before b, by their numbers.
func older(a, b string) bool {
	left, right := versionNumbers(a), versionNumbers(b)
	return slices.Compare(left[:], right[:]) < 0
}

func versionNumbers(version string) [4]int {
	version, _, _ = strings.Cut(version, "-")
	version, _, _ = strings.Cut(version, "+")
	var numbers [4]int
	for i, part := range strings.SplitN(version, ".", 5) {
		if i < len(numbers) {
			numbers[i], _ = strconv.Atoi(part)
		}
	}
	return numbers
}
