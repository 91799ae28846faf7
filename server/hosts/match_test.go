package hosts

import (
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestWhoEnrols(t *testing.T) {
	first := agent{"box", "i-1", "0f0e0d0c-0000-4000-8000-000000000001", "S1", "box"}
	reinstalled := first
	reinstalled.instance = "i-2"
	with := func(a agent, change func(*agent)) agent { change(&a); return a }
	const gone = 20 * time.Minute
	tests := []struct {
		name   string
		then   agent
		after  time.Duration
		same   bool // the same row
		clone  bool
		called string
	}{
		{"the same instance is the same host, whatever else changed",
			agent{"renamed", "i-1", "0f0e0d0c-0000-4000-8000-000000000009", "S9", "renamed"}, 2 * time.Minute, true, false, "renamed"},
		{"another instance on silent hardware of that name and serial is the machine re-installed", reinstalled, gone, true, false, "box"},
		{"a host is silent after exactly 15 minutes", reinstalled, 15 * time.Minute, true, false, "box"},
		{"another instance beside one that was just heard from is a clone", reinstalled, 14 * time.Minute, false, true, "box-i-2"},
		{"another host name on the same hardware uuid is a clone",
			with(reinstalled, func(a *agent) { a.hostname = "other" }), gone, false, true, "box-i-2"},
		{"another serial on the same hardware uuid is a clone",
			with(reinstalled, func(a *agent) { a.serial = "S2" }), gone, false, true, "box-i-2"},
		{"the case of a hardware uuid does not matter",
			with(reinstalled, func(a *agent) { a.uuid = "0F0E0D0C-0000-4000-8000-000000000001" }), gone, true, false, "box"},
		{"another uuid under the same identifier is another host, and no clone",
			with(reinstalled, func(a *agent) { a.uuid = "0f0e0d0c-0000-4000-8000-000000000002" }), gone, false, false, "box-i-2"},
		{"without an instance id the hardware uuid decides",
			with(first, func(a *agent) { a.instance, a.identifier = "", "new" }), time.Minute, true, false, "new"},
		{"without an instance id and a known uuid it is another host",
			with(first, func(a *agent) { a.instance, a.uuid = "", "0f0e0d0c-0000-4000-8000-000000000002" }), gone, false, false, "box-2"},
		{"without instance id and uuid the identifier decides",
			with(first, func(a *agent) { a.instance, a.uuid = "", "" }), time.Minute, true, false, "box"},
		{"an empty identifier falls back to the instance id",
			with(web("1"), func(a *agent) { a.identifier = "" }), time.Minute, false, false, "instance-1"},
		{"without that it falls back to the uuid",
			with(web("1"), func(a *agent) { a.identifier, a.instance = "", "" }), time.Minute, false, false, "aaaaaaaa-0000-0000-0000-000000000001"},
		{"and then to the host name",
			with(web("1"), func(a *agent) { a.identifier, a.instance, a.uuid = "", "", "" }), time.Minute, false, false, "web1"},
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				f := afresh(t, db)
				_, old := f.enroll(first)
				f.clock.advance(test.after)
				_, now := f.enroll(test.then)
				clone := now.CloneOf == old.ID
				if (now.ID == old.ID) != test.same || clone != test.clone || now.CloneOf != 0 && !clone {
					t.Errorf("host %d (clone of %d) after host %d", now.ID, now.CloneOf, old.ID)
				}
				if now.Identifier != test.called {
					t.Errorf("called %q, want %q", now.Identifier, test.called)
				}
				if test.same && test.then.instance != "" && now.InstanceID != test.then.instance {
					t.Errorf("the instance is still %q", now.InstanceID)
				}
			})
		}
	})
}

func TestPlaceholderUUIDsAreNone(t *testing.T) {
	for _, uuid := range []string{
		"", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
		"03000200-0400-0500-0006-000700080009", "03020100-0504-0706-0809-0A0B0C0D0E0F",
		"10000000-0000-8000-0040-000000000000", " Not Settable ",
	} {
		if got := hardwareUUID(uuid); got != "" {
			t.Errorf("%q is %q", uuid, got)
		}
	}
	if got := hardwareUUID(" 4C4C4544-0042-3510-8054-B9C04F4E3732 "); got != "4c4c4544-0042-3510-8054-b9c04f4e3732" {
		t.Errorf("a real uuid is %q", got)
	}
	each(t, func(t *testing.T, f *fixture) {
		one, two := web("1"), web("2")
		one.uuid, two.uuid = "03000200-0400-0500-0006-000700080009", "03000200-0400-0500-0006-000700080009"
		_, a := f.enroll(one)
		_, b := f.enroll(two)
		if a.ID == b.ID || b.CloneOf != 0 {
			t.Errorf("two boards of one vendor: hosts %d and %d, clone of %d", a.ID, b.ID, b.CloneOf)
		}
		two.identifier, two.hostname, two.serial, two.instance = one.identifier, one.hostname, one.serial, "wiped"
		if _, c := f.enroll(two); c.ID == a.ID {
			t.Error("a second container of one name took over the row of the first")
		}
		f.clock.advance(silence)
		two.instance = "wiped again"
		if _, c := f.enroll(two); c.ID != a.ID {
			t.Error("a container that came back after a silence is another host")
		}
	})
}

func TestEveryCloneNamesTheFirst(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a := web("1")
		_, original := f.enroll(a)
		for _, instance := range []string{"abcdefgh-2", "abcdefgh-3", "abcdefgh-4"} {
			a.instance = instance
			_, clone := f.enroll(a)
			if clone.CloneOf != original.ID {
				t.Errorf("clone of %d, want %d", clone.CloneOf, original.ID)
			}
			if other, err := f.Find(t.Context(), clone.Identifier); err != nil || other.ID != clone.ID {
				t.Errorf("identifier %q is not unique: %v", clone.Identifier, err)
			}
		}
		f.clock.advance(2 * time.Minute)
		if _, again := f.enroll(a); again.CloneOf != original.ID || again.Identifier != "web1-3" {
			t.Errorf("a clone that enrols again is %q, clone of %d", again.Identifier, again.CloneOf)
		}
	})
}

func TestRemovedAndDeletedHosts(t *testing.T) {
	wiped := web("1")
	wiped.instance = "fresh"
	other := wiped
	other.hostname, other.instance = "other", "elsewhere"
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		key, host := f.enroll(web("1"))

		f.ok(f.Remove(ctx, host.ID))
		f.authenticates(key, 0)
		f.refused(web("1")) // although the cooldown remembers its key
		f.refused(wiped)    // it stays removed when its agent starts over
		if _, clone := f.enroll(other); clone.CloneOf != host.ID {
			t.Errorf("another machine with its uuid is a clone of %d, want %d", clone.CloneOf, host.ID)
		}
		f.ok(f.Enable(ctx, host.ID))
		f.authenticates(key, host.ID)

		f.ok(f.Delete(ctx, host.ID, false))
		f.authenticates(key, 0)
		f.refused(web("1"))
		f.refused(wiped)

		f.ok(f.Delete(ctx, host.ID, true)) // told so later
		f.authenticates(key, 0)
		f.clock.advance(time.Hour)
		fresh, again := f.enroll(wiped)
		f.authenticates(fresh, again.ID)
		if again.ID != host.ID || again.State != Active || again.MayEnroll || !again.EnrolledOn.Equal(f.clock.now()) {
			t.Errorf("enrolled anew as %+v", again)
		}
		f.ok(f.Delete(ctx, host.ID, false))
		f.refused(wiped) // may_enroll was used up
	})
}

func TestAHostDeletedToEnrolAnewStartsOver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, host := f.enroll(web("1"))
		f.ok(f.AddTag(ctx, host.ID, "old"))
		f.ok(f.SaveDetail(ctx, host.ID, "interfaces", []map[string]string{{"mac": "02:00:00:00:00:01", "address": "10.1.1.1"}}))
		f.ok(f.Delete(ctx, host.ID, true))
		_, again := f.enroll(web("1"))
		if len(again.Tags) != 1 || again.Tags[0] != "new" || string(again.NetworkInfo) != "[]" {
			t.Errorf("kept tags %v, interfaces %s", again.Tags, again.NetworkInfo)
		}
	})
}
