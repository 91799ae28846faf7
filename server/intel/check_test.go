package intel

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/indicator"
)

const (
	someMD5    = "44d88612fea8a8f36de82e1278abb02f"
	someSHA1   = "3395856ce81f2b7382dee72602f798b642f14140"
	someSHA256 = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
)

func threat(of indicator.Type, value, name string) NewIndicator {
	return NewIndicator{Type: of, Value: value, ThreatName: name, Severity: "WARNING"}
}

func TestCheckLooksAtEveryColumn(t *testing.T) {
	store := []NewIndicator{
		threat(MD5, "44D88612FEA8A8F36DE82E1278ABB02F", "eicar"), threat(SHA1, someSHA1, "eicar"), threat(SHA256, someSHA256, "eicar"),
		threat(MD5, someMD5, "also eicar"), threat(MD5, "3h8dk0sksm0", "odd"), threat(SHA1, "3h8dk0sksm0", "odd sha1"),
		threat(Domain, ".Evil.example", "evil"), threat(Domain, "deep.evil.example", "deeper"),
		threat(Address, "192.0.2.7", "one"), threat(Address, "192.0.2.0/24", "net"), threat(Address, "192.0.0.0/16", "larger net"),
		threat(Address, "2001:DB8::/32", "six"), threat(Address, "::ffff:198.51.100.0/120", "mapped"),
		threat(URL, "HTTP://evil.example/a?b", "url"), threat(Path, `C:\Windows\Temp\x.exe`, "path"),
	}
	tests := []struct {
		sentence, columns string
		want              []string
	}{
		{"nothing", `{"pid":"12","path":"/bin/ls"}`, nil},
		{"no columns", `{}`, nil},
		{"hashes in any column and case", `{"md5":" ` + someMD5 + `","sha256":"275A021BBFB6489E54D471899F7DB9D1663FC695EC2FE2A2C4538AABF651FD0F"}`,
			[]string{"md5 " + someMD5 + " (also eicar) in md5", "md5 " + someMD5 + " (eicar) in md5", "sha256 " + someSHA256 + " (eicar) in sha256"}},
		{"a hash in the column of another", `{"sha256":"` + someMD5 + `","pid":"` + someMD5 + `"}`, nil},
		{"what was entered as a hash and is none", `{"md5":"3H8dk0sksm0"}`, []string{"md5 3h8dk0sksm0 (odd) in md5"}},
		{"the domain itself, with a dot in front", `{"domain_name":".EVIL.example"}`, []string{"domain_name evil.example (evil) in domain_name"}},
		{"below two domains", `{"dns_domain_name":"a.b.deep.evil.example."}`,
			[]string{"domain_name evil.example (evil) in dns_domain_name", "domain_name deep.evil.example (deeper) in dns_domain_name"}},
		{"a name that only ends alike", `{"domain_name":"notevil.example"}`, nil},
		{"the domain in front", `{"domain_name":"evil.example.com"}`, nil},
		{"an address in networks", `{"remote_address":"192.0.2.7"}`,
			[]string{"remote_address 192.0.2.7 (one) in remote_address", "remote_address 192.0.2.0/24 (net) in remote_address", "remote_address 192.0.0.0/16 (larger net) in remote_address"}},
		{"a mapped address", `{"address":"::ffff:192.0.9.1"}`, []string{"remote_address 192.0.0.0/16 (larger net) in address"}},
		{"an address of IPv6", `{"remote_address":"2001:db8:1::1"}`, []string{"remote_address 2001:db8::/32 (six) in remote_address"}},
		{"a network that was entered as IPv6", `{"remote_address":"198.51.100.9"}`, []string{"remote_address 198.51.100.0/24 (mapped) in remote_address"}},
		{"an address where names are", `{"domain_name":"192.0.2.7"}`, nil},
		{"host holds either", `{"host":"www.evil.example"}`, []string{"domain_name evil.example (evil) in host"}},
		{"an address in host", `{"host":"192.0.9.9"}`, []string{"remote_address 192.0.0.0/16 (larger net) in host"}},
		{"a URL", `{"url":"http://EVIL.example/a?b","source_url":"http://evil.example/a"}`, []string{"url http://evil.example/a?b (url) in url"}},
		{"a path, once though it is in two columns", `{"path":"c:\\windows\\temp\\X.exe","parent_path":"c:\\windows\\temp\\x.exe"}`,
			[]string{`path c:\windows\temp\x.exe (path) in path`}},
		{"values that are no text", `{"md5":12,"path":null,"domain_name":{"a":1},"remote_address":["192.0.2.7"]}`, nil},
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStore(t, db, newBox(t, 1))
		if _, err := s.SetSelf(t.Context(), store); err != nil {
			t.Fatal(err)
		}
		fresh := newStore(t, db, newBox(t, 1))
		if err := fresh.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			t.Run(test.sentence, func(t *testing.T) {
				for name, s := range map[string]*Store{"just stored": s, "loaded": fresh} {
					got := found(t, s, test.columns)
					slices.Sort(got)
					want := slices.Sorted(slices.Values(test.want))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: %s", name, diff)
					}
				}
			})
		}
	})
}

func TestAHitSaysWhereAndWhat(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		now := newClock()
		s := newStoreAt(t, db, now)
		expires := now.Now().Add(time.Hour)
		_, err := s.SetSelf(t.Context(), []NewIndicator{
			{Type: Domain, Value: "evil.example", ThreatName: "evil", Severity: "critical", Confidence: 70, Description: "seen", Expires: expires},
		})
		if err != nil {
			t.Fatal(err)
		}
		var row condition.Object
		if err := row.Load(`{"domain_name":"WWW.evil.example"}`); err != nil {
			t.Fatal(err)
		}
		want := []Hit{{Column: "domain_name", Value: "WWW.evil.example", Indicator: Indicator{ID: 1, Feed: Self, NewIndicator: NewIndicator{
			Type: Domain, Value: "evil.example", ThreatName: "evil", Severity: "CRITICAL", Confidence: 70, Expires: expires,
		}}}}
		got := s.Check(&row)
		if err := row.Load(`{"domain_name":"xxxxxxxxxxxxxxxx"}`); err != nil { // the row's memory is used again
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestExpiredIndicatorsDoNotMatch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		now := newClock()
		s := newStoreAt(t, db, now)
		n := threat(MD5, someMD5, "eicar")
		n.Expires = now.Now().Add(time.Hour)
		if _, err := s.SetSelf(t.Context(), []NewIndicator{n}); err != nil {
			t.Fatal(err)
		}
		row := `{"md5":"` + someMD5 + `"}`
		if got := found(t, s, row); len(got) != 1 {
			t.Errorf("before: %v", got)
		}
		now.pass(time.Hour)
		if got := found(t, s, row); got != nil {
			t.Errorf("after: %v", got)
		}
		n.Expires = now.Now().Add(time.Hour)
		done, err := s.SetSelf(t.Context(), []NewIndicator{n})
		if err != nil || done != (Replaced{Added: 1}) {
			t.Errorf("entered again: %+v %v", done, err)
		}
		if got := found(t, s, row); len(got) != 1 {
			t.Errorf("entered again: %v", got)
		}
		now.pass(keepExpired + 2*time.Hour)
		for range 2 { // the second time forgets what the first deleted
			if err := s.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			now.pass(keepDeleted + time.Hour)
		}
		var left int
		if err := db.Read(t.Context()).Raw("SELECT count(*) FROM indicators").Scan(&left).Error; err != nil || left != 0 {
			t.Errorf("%d are left, %v", left, err)
		}
	})
}

func TestSetSelfReplaces(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, s := t.Context(), newStore(t, db, newBox(t, 1))
		domain := threat(Domain, "evil.example", "evil")
		steps := []struct {
			sentence string
			set      []NewIndicator
			want     Replaced
			matches  int
		}{
			{"two", []NewIndicator{threat(MD5, someMD5, "eicar"), domain}, Replaced{Added: 2}, 2},
			{"the same", []NewIndicator{threat(MD5, someMD5, "eicar"), domain}, Replaced{}, 2},
			{"one twice, in another form", []NewIndicator{domain, threat(Domain, ".EVIL.example", "evil")}, Replaced{Deleted: 1}, 1},
			{"one changes, one comes back", []NewIndicator{threat(MD5, someMD5, "eicar"), {Type: Domain, Value: "evil.example", ThreatName: "evil", Severity: "LOW"}},
				Replaced{Added: 1, Changed: 1}, 2},
			{"none", nil, Replaced{Deleted: 2}, 0},
		}
		for _, step := range steps {
			got, err := s.SetSelf(ctx, step.set)
			if err != nil || got != step.want {
				t.Errorf("%s: %+v, %v", step.sentence, got, err)
			}
			if got := found(t, s, `{"md5":"`+someMD5+`","domain_name":"evil.example"}`); len(got) != step.matches {
				t.Errorf("%s: %v", step.sentence, got)
			}
		}
	})
}

func TestWhatIsWrongChangesNothing(t *testing.T) {
	wrong := map[string]NewIndicator{
		"an unknown type":           threat("colour", "red", "x"),
		"an unknown severity":       {Type: MD5, Value: someMD5, ThreatName: "x", Severity: "BAD"},
		"no value":                  threat(MD5, " ", "x"),
		"a hash with a blank":       threat(MD5, "a b", "x"),
		"a name of one part":        threat(Domain, "com", "x"),
		"an address as a name":      threat(Domain, "192.0.2.1", "x"),
		"an empty part":             threat(Domain, "a..b", "x"),
		"a name as an address":      threat(Address, "evil.example", "x"),
		"the whole internet":        threat(Address, "0.0.0.0/0", "x"),
		"half of IPv6":              threat(Address, "8000::/1", "x"),
		"no address":                threat(Address, "0.0.0.0", "x"),
		"no URL":                    threat(URL, "evil.example", "x"),
		"a value of two lines":      threat(Path, "a\nb", "x"),
		"a value that is no text":   threat(Path, "a\xff", "x"),
		"no name":                   threat(MD5, someMD5, " "),
		"more than sure":            {Type: MD5, Value: someMD5, ThreatName: "x", Severity: "LOW", Confidence: 101},
		"a name of too many labels": threat(Domain, string(slices.Repeat([]byte("a."), 40))+"b", "x"),
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, s := t.Context(), newStore(t, db, newBox(t, 1))
		if _, err := s.SetSelf(ctx, []NewIndicator{threat(MD5, someMD5, "kept")}); err != nil {
			t.Fatal(err)
		}
		for sentence, n := range wrong {
			if _, err := s.SetSelf(ctx, []NewIndicator{threat(Domain, "evil.example", "new"), n}); !fault.Is(err, fault.Unprocessable) {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		all, err := s.Self(ctx)
		if err != nil || len(all) != 1 || all[0].ThreatName != "kept" {
			t.Errorf("left: %+v, %v", all, err)
		}
	})
}

// A replica follows what another changes, a little at a time or all again.
func TestReplicasFollow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, now := t.Context(), newClock()
		one, two := newStoreAt(t, db, now), newStoreAt(t, db, now)
		two.o.Late = 5
		if err := two.Load(ctx); err != nil {
			t.Fatal(err)
		}
		agree := func(sentence string) {
			t.Helper()
			two.memory.again = time.Time{}
			if err := two.refresh(ctx, false); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				row := fmt.Sprintf(`{"domain_name":"h%d.evil.example"}`, i)
				if diff := cmp.Diff(found(t, one, row), found(t, two, row)); diff != "" {
					t.Errorf("%s: %s", sentence, diff)
				}
			}
		}
		var set []NewIndicator
		for i := range 20 {
			set = append(set, threat(Domain, fmt.Sprintf("h%d.evil.example", i), fmt.Sprint(i)))
			if i%3 == 0 {
				if _, err := one.SetSelf(ctx, set[i/2:]); err != nil {
					t.Fatal(err)
				}
				agree(fmt.Sprintf("after %d", i))
			}
		}
		all, _, err := one.List(ctx, Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if gone, err := one.Delete(ctx, []int64{all[0].ID, all[1].ID, -5}); err != nil || len(gone) != 2 {
			t.Errorf("deleted %v, %v", gone, err)
		}
		agree("after a deletion")
		if n, err := one.DeleteFeed(ctx, Self); err != nil || n != len(all)-2 {
			t.Errorf("deleted %d of %d, %v", n, len(all), err)
		}
		now.pass(keepDeleted + time.Hour)
		if err := one.Purge(ctx); err != nil {
			t.Fatal(err)
		}
		two.o.Late = 1000 // so that it would rather read what changed, which is there no more
		agree("after all are gone for good")
	})
}
