package hosts

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestEnrolmentKeepsWhatTheAgentSays(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		key, host := f.enroll(web("1"))
		f.authenticates(key, host.ID)
		got := f.find(host.ID)
		for name, pair := range map[string][2]string{
			"platform": {got.Platform, "linux"}, "os platform": {got.OSPlatform, "ubuntu"}, "arch": {got.Arch, "x86_64"},
			"version": {got.OsqueryVersion, "5.23.1"}, "serial": {got.HardwareSerial, "serial1"}, "address": {got.LastIP, "10.0.0.1"},
			"uuid": {got.HardwareUUID, "aaaaaaaa-0000-0000-0000-000000000001"}, "name": {got.DisplayName(), "web1"},
			"tags": {fmt.Sprint(got.Tags), "[new]"}, "state": {string(got.State), "active"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
			}
		}
		var node map[string]string
		if err := json.Unmarshal(got.NodeInfo, &node); err != nil || node["cpu_brand"] != "Fast" || node["physical_memory"] != "8589934592" {
			t.Errorf("node_info %s: %v", got.NodeInfo, err)
		}
		if !got.Online(f.clock.now()) || !got.EnrolledOn.Equal(f.clock.now()) || !got.LastEnrollment.Equal(f.clock.now()) {
			t.Errorf("times %v %v %v", got.LastCheckin, got.EnrolledOn, got.LastEnrollment)
		}
		// What is kept is what another process reads.
		other := f.replica().find(host.ID)
		if string(other.OSInfo) != string(got.OSInfo) || other.Arch != got.Arch || !other.LastCheckin.Equal(got.LastCheckin) {
			t.Errorf("another replica reads %+v", other)
		}
	})
}

func TestPlatformFamilies(t *testing.T) {
	for _, test := range []struct{ os, mask, want string }{
		{"windows", "", "windows"}, {"darwin", "9", "darwin"}, {"freebsd", "", "freebsd"}, {"rhel", "2", "linux"},
		{"", "2", "windows"}, {"", "21", "darwin"}, {"", "37", "freebsd"}, {"", "9", "linux"}, {"", "rubbish", ""}, {"", "", ""},
	} {
		e := Enrollment{PlatformType: test.mask}
		if test.os != "" {
			e.Details = map[string]map[string]string{"os_version": {"platform": test.os}}
		}
		if got := readFacts(e).platform; got != test.want {
			t.Errorf("platform %q, mask %q: %q, want %q", test.os, test.mask, got, test.want)
		}
	}
}

func TestWrongSecrets(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, err := f.AddSecret(ctx, NewSecret{Name: "short", Secret: "short lived", Expires: f.clock.now().Add(time.Hour)})
		f.ok(err)
		_, err = f.AddSecret(ctx, NewSecret{Name: "revoked", Secret: "revoked"})
		f.ok(err)
		with := func(secret string) error {
			e := web("1").enrollment()
			e.Secret = secret
			_, _, err := f.Enroll(ctx, e)
			return err
		}
		f.ok(with(" short lived\n"))
		f.ok(with("revoked"))
		f.ok(f.RevokeSecret(ctx, "revoked"))
		f.clock.advance(time.Hour)
		for name, secret := range map[string]string{"none": "", "wrong": "x", "expired": "short lived", "revoked": "revoked"} {
			if err := with(secret); !errors.Is(err, ErrWrongSecret) || !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestAnAgentIsGivenTheSameKeyInsideTheCooldown(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		key, host := f.enroll(web("1"))
		f.clock.advance(59 * time.Second)
		if again, same := f.enroll(web("1")); again != key || same.ID != host.ID {
			t.Fatal("a retry was given another key")
		}
		f.clock.advance(time.Second)
		later, same := f.enroll(web("1"))
		if later == key || same.ID != host.ID {
			t.Fatal("the cooldown never ends")
		}
		// After a restart the plain key is gone, and the old one stays valid.
		restarted := f.replica()
		fresh, _ := restarted.enroll(web("1"))
		if fresh == later {
			t.Fatal("a plain key was stored")
		}
		restarted.authenticates(later, host.ID)
		restarted.authenticates(fresh, host.ID)
	})
}

func TestAReplacedKeyAuthenticatesForTheGrace(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old, host := f.enroll(web("1"))
		other := f.replica()
		f.clock.advance(time.Minute)
		middle, _ := f.enroll(web("1"))
		f.clock.advance(time.Minute)
		fresh, _ := f.enroll(web("1"))
		f.ok(other.refresh(t.Context(), hintOverlap))
		for _, store := range []*fixture{f, other, f.replica()} {
			for _, key := range []string{old, middle, fresh} {
				store.authenticates(key, host.ID)
			}
		}
		f.clock.advance(time.Minute + time.Microsecond)
		for _, store := range []*fixture{f, other, f.replica()} {
			store.authenticates(old, 0)
			store.authenticates(middle, host.ID)
			store.authenticates(fresh, host.ID)
		}
		f.clock.advance(time.Minute)
		f.authenticates(middle, 0)
		f.authenticates(fresh, host.ID)
	})
}

func TestAnIdentityMayEnrolSoOften(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for range f.EnrollLimit {
			f.enroll(web("1"))
		}
		_, _, err := f.Enroll(t.Context(), web("1").enrollment())
		f.want(err, fault.TooMany)
		if fault.Public(err) != "enrolling too often" {
			t.Errorf("says %q", fault.Public(err))
		}
		f.enroll(web("2")) // others are not affected
		f.clock.advance(20 * time.Second)
		f.enroll(web("1"))
	})
}

func TestRateAndSecretAreCheckedBeforeStorage(t *testing.T) {
	f := newFixture(t, dbtest.Open(t, database.SQLite))
	f.EnrollLimit = 1
	f.enroller.limit = 1
	f.enroll(web("1"))
	f.ok(f.db.Close())
	_, _, err := f.Enroll(t.Context(), web("1").enrollment())
	f.want(err, fault.TooMany)
	e := web("2").enrollment()
	e.Secret = "wrong"
	_, _, err = f.Enroll(t.Context(), e)
	f.want(err, fault.Unauthenticated)
	_, _, err = f.Enroll(t.Context(), web("2").enrollment())
	if err == nil || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.TooMany) {
		t.Errorf("with storage down: %v", err)
	}
}

func TestConcurrentEnrolmentsOfOneAgentGetOneKey(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const callers = 16
		keys := make([]string, callers)
		var wait sync.WaitGroup
		for i := range keys {
			wait.Go(func() { keys[i], _, _ = f.Enroll(t.Context(), web("1").enrollment()) })
		}
		wait.Wait()
		for _, key := range keys {
			if key == "" || key != keys[0] {
				t.Fatalf("keys %q", keys)
			}
		}
		var stored int64
		f.ok(f.db.Read(t.Context()).Raw("SELECT count(*) FROM node_keys").Scan(&stored).Error)
		if stored != 1 {
			t.Errorf("%d keys stored", stored)
		}
	})
}

func TestClonesThatEnrolAtOnceOnTwoReplicasAreFlagged(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		stores := []*fixture{f, f.replica()}
		const clones = 8
		var wait sync.WaitGroup
		for i := range clones {
			a := web("1")
			a.instance = fmt.Sprintf("%d-clone", i)
			wait.Go(func() {
				if _, _, err := stores[i%2].Enroll(t.Context(), a.enrollment()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		rows, _, total, err := f.replica().List(t.Context(), Filter{})
		f.ok(err)
		flagged := 0
		for _, host := range rows {
			if host.CloneOf != 0 {
				flagged++
			}
		}
		if total != clones || flagged != clones-1 {
			t.Errorf("%d hosts, %d flagged", total, flagged)
		}
	})
}

func TestAnAgentWithoutANameIsInvalid(t *testing.T) {
	f := newFixture(t, dbtest.Open(t, database.SQLite))
	_, _, err := f.Enroll(t.Context(), Enrollment{Secret: testSecret, Identifier: " \x00 "})
	f.want(err, fault.Invalid)
}

func TestIdentifierThatAllTheNumbersAreTakenOf(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		seen := map[string]bool{}
		for i := range numberedNames + 4 {
			a := agent{identifier: "box", instance: "same-prefix", uuid: "", hostname: "h"}
			a.instance += fmt.Sprint(i)
			_, host := f.enroll(a)
			if seen[host.Identifier] {
				t.Fatalf("%q is given twice", host.Identifier)
			}
			seen[host.Identifier] = true
		}
	})
}
