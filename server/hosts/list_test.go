package hosts

import (
	"fmt"
	"testing"
	"time"

	"muster/server/fault"
)

// fleet enrols web1 (ubuntu, offline), web2 (windows), web3 (darwin, tagged
// mac), web4 (freebsd, removed) and web5 (rhel); all but web1 are online.
func (f *fixture) fleet() map[string]*Host {
	f.t.Helper()
	hosts := map[string]*Host{}
	for i, platform := range []string{"ubuntu", "windows", "darwin", "freebsd", "rhel"} {
		a := web(fmt.Sprint(i + 1))
		e := a.enrollment()
		e.Address = fmt.Sprintf("192.0.2.%d", i+1)
		e.Details["os_version"] = map[string]string{"platform": platform, "name": "OS " + platform}
		_, host, err := f.Enroll(f.t.Context(), e)
		f.ok(err)
		hosts[a.identifier] = host
		if i == 0 {
			f.clock.advance(OnlineWindow)
		}
	}
	f.ok(f.AddTag(f.t.Context(), hosts["web3"].ID, "mac"))
	f.ok(f.Remove(f.t.Context(), hosts["web4"].ID))
	return hosts
}

func names(rows []*Host) (names []string) {
	for _, host := range rows {
		names = append(names, host.Identifier)
	}
	return names
}

func TestList(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name         string
		filter       Filter
		want         string
		count, total int
	}{
		{"online ones first, then the newest", Filter{}, "[web5 web3 web2 web1]", 4, 4},
		{"online only", Filter{Online: &yes}, "[web5 web3 web2]", 3, 3},
		{"offline only", Filter{Online: &no}, "[web1]", 1, 1},
		{"linux is what is neither windows nor darwin", Filter{Platform: "linux"}, "[web5 web1]", 2, 2},
		{"windows", Filter{Platform: "windows"}, "[web2]", 1, 1},
		{"removed", Filter{Removed: true}, "[web4]", 1, 1},
		{"a page of them", Filter{Start: 1, Limit: 2}, "[web3 web2]", 4, 4},
		{"a page past the end", Filter{Start: 9, Limit: 2}, "[]", 4, 4},
		{"part of a name, whatever the case", Filter{Search: "EB3"}, "[web3]", 1, 4},
		{"part of the name of the OS", Filter{Search: "os ubu"}, "[web1]", 1, 4},
		{"part of the address", Filter{Search: "2.0.2.5"}, "[web5]", 1, 4},
		{"a tag", Filter{Search: "mac"}, "[web3]", 1, 4},
		{"part of a tag finds nothing", Filter{Search: "ma"}, "[]", 0, 4},
		{"wildcards are ordinary characters", Filter{Search: "web%"}, "[]", 0, 4},
		{"the total counts the other filters", Filter{Platform: "linux", Search: "web1"}, "[web1]", 1, 2},
	}
	each(t, func(t *testing.T, f *fixture) {
		f.fleet()
		for _, test := range tests {
			for _, store := range []*fixture{f, f.replica()} {
				rows, count, total, err := store.List(t.Context(), test.filter)
				if got := fmt.Sprint(names(rows)); err != nil || got != test.want || count != test.count || total != test.total {
					t.Errorf("%s: %s %d of %d, %v; want %s %d of %d", test.name, got, count, total, err, test.want, test.count, test.total)
				}
			}
		}
		counts, err := f.Counts(t.Context())
		want := map[string]OnlineOffline{"windows": {1, 0}, "linux": {1, 1}, "darwin": {1, 0}}
		if fmt.Sprint(counts) != fmt.Sprint(want) || err != nil {
			t.Errorf("counts %v", counts)
		}
	})
}

func TestFind(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		hosts := f.fleet()
		ctx := t.Context()
		late := f.replica()
		digits := web("6")
		digits.identifier = "100234"
		_, six := f.enroll(digits)
		for key, want := range map[string]int64{
			"web2": hosts["web2"].ID, "web4": hosts["web4"].ID, fmt.Sprint(hosts["web3"].ID): hosts["web3"].ID,
			"100234": six.ID, fmt.Sprint(six.ID): six.ID,
			"nobody": 0, "": 0, "99": 0, "99999999999999999999": 0, "web%": 0, "a\x00\xff": 0,
		} {
			for _, store := range []*fixture{f, late} {
				host, err := store.Find(ctx, key)
				if want == 0 && !fault.Is(err, fault.NotFound) || want != 0 && (err != nil || host.ID != want) {
					t.Errorf("%q: %v %v", key, host, err)
				}
			}
		}
		f.ok(f.db.Close())
		if _, err := f.Find(ctx, "nobody"); err == nil || fault.Is(err, fault.NotFound) {
			t.Errorf("with storage down: %v", err)
		}
	})
}

func TestTargets(t *testing.T) {
	tests := []struct {
		name              string
		identifiers, tags []string
		want, unknown     string
	}{
		{"nobody named is every active host", nil, nil, "[web5 web3 web2 web1]", "[]"},
		{"identifiers", []string{"web2", "web1", "web2"}, nil, "[web2 web1]", "[]"},
		{"a tag", nil, []string{"mac"}, "[web3]", "[]"},
		{"both, each host once", []string{"web3", "web1"}, []string{"mac"}, "[web3 web1]", "[]"},
		{"what is not known", []string{"web1", "nobody", "nobody"}, []string{"mac", "nothing"}, "[web3 web1]", "[nobody nothing]"},
		{"a removed host is no target", []string{"web4"}, nil, "[]", "[web4]"},
		{"a tag that no active host carries exists all the same", nil, []string{"gone"}, "[]", "[]"},
		{"an empty name is not everybody", []string{""}, nil, "[]", "[]"},
	}
	each(t, func(t *testing.T, f *fixture) {
		hosts := f.fleet()
		f.ok(f.AddTag(t.Context(), hosts["web4"].ID, "gone"))
		f.clock.advance(time.Minute)
		f.Seen(hosts["web1"].ID, ContactConfig, "")
		for _, test := range tests {
			got, unknown, err := f.Targets(t.Context(), test.identifiers, test.tags)
			if test.name == "an empty name is not everybody" {
				unknown = nil // it is unknown, and prints as nothing
			}
			if fmt.Sprint(names(got)) != test.want || fmt.Sprint(unknown) != test.unknown || err != nil {
				t.Errorf("%s: %v, unknown %v, %v", test.name, names(got), unknown, err)
			}
			for _, host := range got {
				if !host.Online(f.clock.now()) {
					t.Errorf("%s: %s is offline", test.name, host.Identifier)
				}
			}
		}
	})
}
