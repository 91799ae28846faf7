package hosts

import (
	"context"
	"slices"

	"muster/server/database"
)

// Targets returns the active hosts that are named by identifier or carry one of
// the tags, each once, the newest first, with contact times as of now; every
// active host when both lists are empty. unknown are the identifiers that belong
// to no active host, then the tags that do not exist, in the order given. Faults:
// Busy and Internal, only where a tag is on no active host.
func (s *Store) Targets(ctx context.Context, identifiers, tags []string) (hosts []*Host, unknown []string, err error) {
	chosen := map[*entry]bool{}
	for _, identifier := range identifiers {
		e := s.reg.named(identifier)
		if e != nil && e.host.Load().State == Active {
			chosen[e] = true
		} else if !slices.Contains(unknown, identifier) {
			unknown = append(unknown, identifier)
		}
	}
	all := len(identifiers) == 0 && len(tags) == 0
	if all || len(tags) > 0 {
		carried := map[string]bool{}
		for _, e := range s.reg.entries() {
			if h := e.host.Load(); h.State == Active && (all || carries(h, tags, carried)) {
				chosen[e] = true
			}
		}
		missing, err := s.missingTags(ctx, tags, carried)
		if err != nil {
			return nil, nil, err
		}
		unknown = append(unknown, missing...)
	}
	entries := make([]*entry, 0, len(chosen))
	for e := range chosen {
		entries = append(entries, e)
	}
	newestFirst(entries)
	hosts = make([]*Host, len(entries))
	for i, e := range entries {
		hosts[i] = e.current()
	}
	return hosts, unknown, nil
}

// missingTags returns those that do not exist.
func (s *Store) missingTags(ctx context.Context, tags []string, carried map[string]bool) (missing []string, err error) {
	for _, tag := range tags {
		if carried[tag] || slices.Contains(missing, tag) {
			continue
		}
		var found int64
		if err := s.db.Read(ctx).Raw("SELECT count(*) FROM tags WHERE value = ?", clean(tag)).Scan(&found).Error; err != nil {
			return nil, database.Fault(err)
		}
		if found == 0 {
			missing = append(missing, tag)
		}
	}
	return missing, nil
}

// carries reports whether h has one of the tags, and notes which it has.
func carries(h *Host, tags []string, carried map[string]bool) bool {
	has := false
	for _, tag := range h.Tags {
		if slices.Contains(tags, tag) {
			has, carried[tag] = true, true
		}
	}
	return has
}
