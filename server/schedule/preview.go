package schedule

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"

	"muster/server/database"
	"muster/server/hosts"
)

// previewHosts is how many hosts a preview names.
const previewHosts = 1000

// Preview is what a change would do to the configs of hosts.
type Preview struct {
	// Count is how many active hosts would get another config.
	Count int
	// Hosts are the first 1,000 of them by id.
	Hosts []PreviewHost
}

// PreviewHost is a host that a change touches. Changes are shared: do not modify them.
type PreviewHost struct {
	Host    *hosts.Host
	Changes *Changes
}

var errUndo = errors.New("a rehearsal is undone")

// Preview runs change on stores of a transaction that is always undone, and compares
// what every active host gets now with what it would get. What change does through
// these stores, it sees itself; nobody else does. change should be quick, since on
// SQLite it holds the only writer. Faults: what change returns; Busy before Load.
func (s *Store) Preview(ctx context.Context, register *hosts.Store, change func(*Store, *hosts.Store) error) (Preview, error) {
	if err := s.Refresh(ctx); err != nil {
		return Preview{}, err
	}
	r := rehearsal{before: s.current.Load()}
	done := false
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		inside, machines := s.With(tx), register.With(tx)
		if err := change(inside, machines); err != nil {
			return err
		}
		if err := r.read(ctx, inside, machines); err != nil {
			return err
		}
		done = true
		return errUndo
	})
	if !done {
		return Preview{}, err
	}
	active, _, _, err := register.List(ctx, hosts.Filter{})
	if err != nil {
		return Preview{}, err
	}
	return r.compare(active), nil
}

// rehearsal is what is served before and after a change.
type rehearsal struct {
	before, after *snapshot
	tags          map[int64][]int64 // of hosts, after the change
	groups        map[move]*Changes
}

// move is a group of hosts that get the same config before and after.
type move struct{ before, after string }

// read takes what is stored in the transaction.
func (r *rehearsal) read(ctx context.Context, inside *Store, machines *hosts.Store) error {
	inside.log = slog.New(slog.DiscardHandler) // nothing of this is served
	var err error
	if r.after, err = inside.build(ctx, inside.db, r.before); err != nil {
		return err
	}
	r.tags, err = machines.TagIDs(ctx)
	return err
}

func (r *rehearsal) compare(active []*hosts.Host) Preview {
	slices.SortFunc(active, func(a, b *hosts.Host) int { return cmp.Compare(a.ID, b.ID) })
	r.groups = map[move]*Changes{}
	var p Preview
	for _, h := range active {
		changes := r.changes(h)
		if changes == nil {
			continue
		}
		if p.Count++; len(p.Hosts) < previewHosts {
			p.Hosts = append(p.Hosts, PreviewHost{h, changes})
		}
	}
	return p
}

// changes tells what would change for a host; nil for nothing.
func (r *rehearsal) changes(h *hosts.Host) *Changes {
	then := h
	if !slices.Equal(h.TagIDs, r.tags[h.ID]) {
		copied := *h
		copied.TagIDs = r.tags[h.ID]
		then = &copied
	}
	if r.before == r.after && then == h {
		return nil
	}
	platform, arch := family(h.Platform), architecture(h.Arch)
	old, fresh := r.before.configFor(platform, arch), r.after.configFor(platform, arch)
	m := move{string(r.before.appendKey(nil, old, h)), string(r.after.appendKey(nil, fresh, then))}
	changes, known := r.groups[m]
	if !known {
		changes = compare(
			r.before.cache.get(m.before, func() *rendered { return r.before.render(m.before, old, h) }),
			r.after.cache.get(m.after, func() *rendered { return r.after.render(m.after, fresh, then) }))
		r.groups[m] = changes
	}
	return changes
}
