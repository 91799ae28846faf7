package hosts

import (
	"context"
	"slices"
	"sort"
	"strconv"
	"strings"

	"muster/server/database"
	"muster/server/fault"
)

// ErrNoHost says that no such host can be seen. It is NotFound.
var ErrNoHost error = fault.New(fault.NotFound, "There is no host exists with this host identifier or node id given!")

// Filter chooses hosts. The zero value chooses every active one.
type Filter struct {
	Online   *bool
	Platform string // windows, darwin, linux (everything that is neither), or a family such as freebsd
	Search   string // part of a name, the OS name or the last address, whatever the case; or a whole tag
	Removed  bool   // the removed hosts instead of the active ones
	Start    int    // hosts to skip
	Limit    int    // hosts to return; 0 = all
}

// OnlineOffline counts hosts.
type OnlineOffline struct{ Online, Offline int }

// List returns hosts, those online first, then the newest first, with contact
// times as of now; count is how many match the filter, total how many match it
// without its Search. It reads memory only.
func (s *Store) List(_ context.Context, f Filter) (rows []*Host, count, total int, err error) {
	now := s.Now().UnixMicro()
	var online, offline []*entry
	part := strings.ToLower(f.Search)
	for _, e := range s.reg.entries() {
		h, up := e.host.Load(), e.onlineAt(now)
		if !f.selects(h, up) {
			continue
		}
		total++
		switch {
		case !f.finds(h, e, part):
		case up:
			online = append(online, e)
		default:
			offline = append(offline, e)
		}
	}
	newestFirst(online)
	newestFirst(offline)
	matched := slices.Concat(online, offline)
	page := matched[min(max(0, f.Start), len(matched)):]
	if f.Limit > 0 {
		page = page[:min(f.Limit, len(page))]
	}
	rows = make([]*Host, len(page))
	for i, e := range page {
		rows[i] = e.current()
	}
	return rows, len(matched), total, nil
}

func newestFirst(entries []*entry) {
	sort.Slice(entries, func(i, j int) bool { return entries[i].id > entries[j].id })
}

// onlineAt is Host.Online for the newest contact known, without a copy.
func (e *entry) onlineAt(now int64) bool {
	last := e.contacts.at[timeCheckin].Load()
	return last != 0 && now-last < OnlineWindow.Microseconds()
}

// selects applies all but the search.
func (f Filter) selects(h *Host, online bool) bool {
	wanted := Active
	if f.Removed {
		wanted = Removed
	}
	if h.State != wanted || f.Online != nil && *f.Online != online {
		return false
	}
	return f.Platform == "" || f.Platform == h.Platform || f.Platform == counted(h.Platform)
}

// finds applies the search; part is its text in lower case.
func (f Filter) finds(h *Host, e *entry, part string) bool {
	return part == "" || strings.Contains(h.search, part) || strings.Contains(e.contacts.address(), part) ||
		slices.Contains(h.Tags, f.Search)
}

// counted is the platform that a host is counted under: everything that is
// neither Windows nor macOS counts as Linux (ESP reference, section 1.2).
func counted(platform string) string {
	if platform == "windows" || platform == "darwin" {
		return platform
	}
	return "linux"
}

// Counts returns how many active hosts of each platform (windows, linux, darwin)
// are online. It reads memory only.
func (s *Store) Counts(context.Context) (map[string]OnlineOffline, error) {
	counts := map[string]OnlineOffline{"windows": {}, "linux": {}, "darwin": {}}
	now := s.Now().UnixMicro()
	for _, e := range s.reg.entries() {
		h := e.host.Load()
		if h.State != Active {
			continue
		}
		count := counts[counted(h.Platform)]
		if e.onlineAt(now) {
			count.Online++
		} else {
			count.Offline++
		}
		counts[counted(h.Platform)] = count
	}
	return counts, nil
}

// Find returns the host with this id, if given digits, or this identifier, with
// contact times as of now. Removed hosts are found, deleted ones are not. Faults:
// NotFound, Busy, Internal.
func (s *Store) Find(ctx context.Context, identifierOrID string) (*Host, error) {
	if id, err := strconv.ParseUint(identifierOrID, 10, 63); err == nil {
		host, err := s.FindByID(ctx, int64(id))
		if !fault.Is(err, fault.NotFound) {
			return host, err
		}
		// An identifier may be all digits too.
	}
	identifierOrID = clip(clean(identifierOrID), 2*maxIdentifier)
	if e := s.reg.named(identifierOrID); e != nil {
		return e.visible()
	}
	return s.findStored(ctx, "identifier = ?", identifierOrID)
}

// FindByID is Find for an id.
func (s *Store) FindByID(ctx context.Context, id int64) (*Host, error) {
	if e := s.reg.get(id); e != nil {
		return e.visible()
	}
	return s.findStored(ctx, "id = ?", id)
}

func (e *entry) visible() (*Host, error) {
	host := e.current()
	if host.State == Deleted {
		return nil, ErrNoHost
	}
	return host, nil
}

// findStored looks in the database for a host that is not in memory yet.
func (s *Store) findStored(ctx context.Context, condition string, arg any) (*Host, error) {
	var ids []int64
	if err := s.db.Read(ctx).Raw("SELECT id FROM hosts WHERE "+condition, arg).Scan(&ids).Error; err != nil {
		return nil, database.Fault(err)
	}
	records, err := s.fetch(ctx, ids)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || records[0].host.State == Deleted {
		return nil, ErrNoHost
	}
	return records[0].host, nil
}
