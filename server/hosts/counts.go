package hosts

import (
	"cmp"
	"context"
	"slices"
)

// OSCount is how many hosts run a system.
type OSCount struct {
	OSPlatform string // os_version.platform, such as ubuntu; the family where it is not known
	Hosts      int
}

// CountOS returns how many active hosts there are of each system, the most first;
// systems without one are left out. It reads memory only.
func (s *Store) CountOS(context.Context) []OSCount {
	byName := map[string]int{}
	for _, e := range s.reg.entries() {
		if h := e.host.Load(); h.State == Active {
			byName[first(h.OSPlatform, h.Platform)]++
		}
	}
	counts := make([]OSCount, 0, len(byName))
	for name, n := range byName {
		counts = append(counts, OSCount{name, n})
	}
	slices.SortFunc(counts, func(a, b OSCount) int {
		return cmp.Or(b.Hosts-a.Hosts, cmp.Compare(a.OSPlatform, b.OSPlatform))
	})
	return counts
}
