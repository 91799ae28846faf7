package hosts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"muster/server/fault"
)

func TestTags(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, host := f.enroll(web("1"))
		f.ok(f.AddTag(ctx, host.ID, "  blue\x00 "))
		f.ok(f.AddTag(ctx, host.ID, "blue"))
		_, other := f.enroll(web("2"))
		f.ok(f.AddTag(ctx, other.ID, "green"))

		tests := []struct {
			name, public string
			err          error
			kind         fault.Kind
		}{
			{"a blank tag", "Tag provided is invalid!", f.AddTag(ctx, host.ID, " \t"), fault.Invalid},
			{"a tag with a comma", "Tag provided is invalid! It has at most 100 bytes and no comma", f.AddTag(ctx, host.ID, "a,b"), fault.Invalid},
			{"a long tag", "Tag provided is invalid! It has at most 100 bytes and no comma", f.AddTag(ctx, host.ID, strings.Repeat("x", maxTag+1)), fault.Invalid},
			{"removing a blank tag", "Tag provided is invalid!", f.RemoveTag(ctx, host.ID, ""), fault.Invalid},
			{"a tag on no host", "Host id or node id passed it not correct", f.AddTag(ctx, 4711, "blue"), fault.NotFound},
			{"removing from no host", "Host id or node id passed it not correct", f.RemoveTag(ctx, 4711, "blue"), fault.NotFound},
			{"removing what it does not have", "Tag provided is not in host's tag list, Please check tag once again",
				f.RemoveTag(ctx, host.ID, "green"), fault.NotFound},
			{"removing what nobody has", "Tag provided doesnot exists", f.RemoveTag(ctx, host.ID, "red"), fault.NotFound},
		}
		for _, test := range tests {
			if !fault.Is(test.err, test.kind) || fault.Public(test.err) != test.public {
				t.Errorf("%s: %v", test.name, test.err)
			}
		}
		if got, err := f.Tags(ctx, host.ID); err != nil || fmt.Sprint(got) != "[blue new]" {
			t.Errorf("tags %v %v", got, err)
		}
		f.ok(f.RemoveTag(ctx, host.ID, " blue"))
		if got, err := f.replica().Tags(ctx, host.ID); err != nil || fmt.Sprint(got) != "[new]" {
			t.Errorf("tags %v %v", got, err)
		}
		_, err := f.Tags(ctx, 4711)
		f.want(err, fault.NotFound)

		f.clock.advance(2 * time.Minute)
		if _, again := f.enroll(web("1")); fmt.Sprint(again.Tags) != "[new]" {
			t.Errorf("after enrolling again: %v", again.Tags)
		}
	})
}

func TestStates(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, host := f.enroll(web("1"))
		const missing = "Node is not present with this node id or host identifier"
		absent := func(err error) {
			t.Helper()
			if f.want(err, fault.NotFound); fault.Public(err) != missing {
				t.Errorf("says %q", fault.Public(err))
			}
		}
		absent(f.Enable(ctx, host.ID)) // it is active
		f.ok(f.Remove(ctx, host.ID))
		f.ok(f.Remove(ctx, host.ID))
		if got := f.find(host.ID); got.State != Removed {
			t.Errorf("a removed host is %s", got.State)
		}
		f.ok(f.AddTag(ctx, host.ID, "still"))
		f.ok(f.Enable(ctx, host.ID))
		f.ok(f.Delete(ctx, host.ID, true))
		absent(f.Remove(ctx, host.ID))
		absent(f.Enable(ctx, host.ID))
		absent(f.Delete(ctx, host.ID, true))
		absent(f.Delete(ctx, host.ID, false))
		absent(f.Remove(ctx, 4711))
		f.want(f.AddTag(ctx, host.ID, "late"), fault.NotFound)
		for _, store := range []*fixture{f, f.replica()} {
			_, err := store.Find(ctx, host.Identifier)
			f.want(err, fault.NotFound)
			_, err = store.FindByID(ctx, host.ID)
			f.want(err, fault.NotFound)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		count := func(table string) (n int) {
			f.ok(f.db.Read(ctx).Raw("SELECT count(*) FROM " + table).Scan(&n).Error)
			return n
		}
		old, host := f.enroll(web("1"))
		f.clock.advance(time.Minute)
		f.enroll(web("1"))
		kept, other := f.enroll(web("2"))
		f.ok(f.Delete(ctx, host.ID, false))
		f.ok(f.Purge(ctx))
		if keys, tags := count("node_keys"), count("host_tags"); keys != 3 || tags != 2 {
			t.Errorf("too early: %d keys, %d tags", keys, tags)
		}
		f.clock.advance(3 * time.Minute)
		f.ok(f.Purge(ctx))
		if keys, tags := count("node_keys"), count("host_tags"); keys != 2 || tags != 2 || len(f.reg.keys) != 2 {
			t.Errorf("after the grace: %d keys, %d tags", keys, tags)
		}
		f.authenticates(old, 0)
		f.clock.advance(25 * time.Hour)
		f.ok(f.Purge(ctx))
		if keys, tags, values := count("node_keys"), count("host_tags"), count("tags"); keys != 1 || tags != 1 || values != 1 {
			t.Errorf("after a day: %d keys, %d tags, %d values", keys, tags, values)
		}
		f.authenticates(kept, other.ID)
		f.refused(web("1"))
	})
}

func TestSecrets(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		expires := f.clock.now().Add(time.Hour)
		plain, err := f.AddSecret(ctx, NewSecret{Name: " site ", Tags: []string{" a ", "b"}, Expires: expires})
		f.ok(err)
		if len(plain) < 32 {
			t.Errorf("a random secret is %q", plain)
		}
		for name, bad := range map[string]struct {
			NewSecret
			kind fault.Kind
		}{
			"without a name":     {NewSecret{Secret: "x"}, fault.Invalid},
			"with a bad tag":     {NewSecret{Name: "x", Tags: []string{"a,b"}}, fault.Invalid},
			"too long":           {NewSecret{Name: "x", Secret: strings.Repeat("x", 2000)}, fault.Invalid},
			"with a taken name":  {NewSecret{Name: "site"}, fault.Conflict},
			"with a taken value": {NewSecret{Name: "x", Secret: plain}, fault.Conflict},
		} {
			if _, err := f.AddSecret(ctx, bad.NewSecret); !fault.Is(err, bad.kind) {
				t.Errorf("%s: %v", name, err)
			}
		}
		e := web("1").enrollment()
		e.Secret = plain
		_, host, err := f.Enroll(ctx, e)
		f.ok(err)
		if fmt.Sprint(host.Tags) != "[a b]" {
			t.Errorf("tags %v", host.Tags)
		}
		for range 2 { // waiting and written count alike
			list, err := f.ListSecrets(ctx)
			f.ok(err)
			if got := list[0]; got.Name != "site" || got.Uses != 1 || !got.LastUsed.Equal(f.clock.now()) || !got.Expires.Equal(expires) {
				t.Errorf("%+v", got)
			}
			f.ok(f.Flush(ctx))
		}
		f.want(f.RevokeSecret(ctx, "nobody"), fault.NotFound)
		f.ok(f.RevokeSecret(ctx, "site"))
		f.clock.advance(time.Minute)
		f.ok(f.RevokeSecret(ctx, "site"))
		list, err := f.ListSecrets(ctx)
		f.ok(err)
		if !list[0].Revoked.Equal(f.clock.now().Add(-time.Minute)) {
			t.Errorf("revoked %v", list[0].Revoked)
		}
	})
}

func TestASecretOfTheConfigurationIsKeptOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		valid := func(secret string) bool {
			_, err := f.checkSecret(ctx, secret)
			return err == nil
		}
		for range 2 {
			f.ok(f.EnsureSecret(ctx, NewSecret{Name: "configured", Secret: "one"}))
		}
		f.ok(f.EnsureSecret(ctx, NewSecret{Name: "configured", Secret: "two"}))
		if valid("one") || !valid("two") {
			t.Error("the changed secret does not replace the old one")
		}
		f.ok(f.RevokeSecret(ctx, "configured"))
		f.ok(f.EnsureSecret(ctx, NewSecret{Name: "configured", Secret: "two"}))
		if valid("two") {
			t.Error("a restart brought a revoked secret back")
		}
		f.want(f.EnsureSecret(ctx, NewSecret{Name: "configured"}), fault.Invalid)
	})
}

func TestASecretThatAnotherProcessAddedIsFoundWithoutAHint(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := New(f.db, f.replica().bus, discard(), Options{Now: f.clock.now}) // never loaded
		if _, err := other.checkSecret(t.Context(), testSecret); err != nil {
			t.Fatal(err)
		}
		_, err := f.AddSecret(t.Context(), NewSecret{Name: "later", Secret: "later"})
		f.ok(err)
		_, err = other.checkSecret(t.Context(), "later") // the list is fresh: no query for a wrong secret
		f.want(err, fault.Unauthenticated)
		f.clock.advance(secretsFresh)
		_, err = other.checkSecret(t.Context(), "later")
		f.ok(err)
		f.clock.advance(secretsFresh)
		f.ok(f.db.Close())
		if _, err = other.checkSecret(t.Context(), "unknown"); err == nil || fault.Is(err, fault.Unauthenticated) {
			t.Errorf("with storage down: %v", err)
		}
	})
}
