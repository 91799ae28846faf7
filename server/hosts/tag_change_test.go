package hosts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// values are the tags in a list.
func values(tags []Tag) string {
	texts := []string{}
	for _, tag := range tags {
		texts = append(texts, tag.Value)
	}
	return strings.Join(texts, " ")
}

func TestListTags(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		for _, value := range []string{" alpha ", "Alpine", "100%", "beta"} {
			f.clock.advance(time.Second)
			tag, err := f.CreateTag(ctx, value)
			f.ok(err)
			if tag.Value != strings.TrimSpace(value) || !tag.CreatedAt.Equal(f.clock.now()) {
				t.Errorf("created %+v", tag)
			}
		}
		for _, test := range []struct {
			name   string
			filter TagFilter
			want   string
			count  int
		}{
			{"all, the newest first", TagFilter{}, "beta 100% Alpine alpha", 4},
			{"a page", TagFilter{Start: 1, Limit: 2}, "100% Alpine", 4},
			{"beyond the end", TagFilter{Start: 9, Limit: 2}, "", 4},
			{"a search in any case", TagFilter{Search: "ALP"}, "Alpine alpha", 2},
			{"a page of a search", TagFilter{Search: "alp", Start: 1, Limit: 5}, "alpha", 2},
			{"no wildcards", TagFilter{Search: "%"}, "100%", 1},
			{"nothing", TagFilter{Search: "gamma"}, "", 0},
		} {
			tags, count, total, err := f.ListTags(ctx, test.filter)
			if err != nil || values(tags) != test.want || count != test.count || total != 4 {
				t.Errorf("%s: %s (%d of %d) %v", test.name, values(tags), count, total, err)
			}
		}
	})
}

func TestTagsThatCannotBe(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		for _, value := range []string{"taken", "other"} {
			_, err := f.CreateTag(ctx, value)
			f.ok(err)
		}
		create := func(value string) error { _, err := f.CreateTag(ctx, value); return err }
		for _, test := range []struct {
			name, public string
			err          error
			kind         fault.Kind
		}{
			{"a blank one", "Tag provided is invalid!", create(" "), fault.Invalid},
			{"one with a comma", "Tag provided is invalid! It has at most 100 bytes and no comma", create("a,b"), fault.Invalid},
			{"one that exists", "Tag is already present!", create("taken "), fault.Conflict},
			{"renaming none", "Tag doesnot exists!", f.RenameTag(ctx, "nobody", "x"), fault.NotFound},
			{"renaming to a blank", "Tag provided is invalid!", f.RenameTag(ctx, "taken", ""), fault.Invalid},
			{"renaming to one that exists", "Tag is already present!", f.RenameTag(ctx, "taken", "other"), fault.Conflict},
			{"deleting none", "Tag doesnot exists!", f.DeleteTag(ctx, "nobody"), fault.NotFound},
			{"deleting a blank", "Tag provided is invalid!", f.DeleteTag(ctx, ""), fault.Invalid},
		} {
			if !fault.Is(test.err, test.kind) || fault.Public(test.err) != test.public {
				t.Errorf("%s: %v", test.name, test.err)
			}
		}
		f.ok(f.RenameTag(ctx, "taken", " taken "))
		if tags, _, _, err := f.ListTags(ctx, TagFilter{}); err != nil || values(tags) != "other taken" {
			t.Errorf("%v %v", tags, err)
		}
	})
}

func TestEnsureTagsMakesWhatIsMissing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		old, err := f.CreateTag(ctx, "old")
		f.ok(err)
		tags, err := EnsureTags(ctx, f.db, []string{"z", " old", "a", "z ", "old"}, f.clock.now())
		if err != nil || values(tags) != "z old a" || tags[1].ID != old.ID || tags[0].ID == 0 || tags[0].ID == tags[2].ID {
			t.Errorf("%+v %v", tags, err)
		}
		_, err = EnsureTags(ctx, f.db, []string{"new", "bad,one"}, f.clock.now())
		f.want(err, fault.Invalid)
		found, err := FindTags(ctx, f.db, []string{"new", "a", "bad,one", "", "z", " a"})
		if err != nil || values(found) != "a z" {
			t.Errorf("%+v %v", found, err)
		}
		many := make([]string, 2*readChunk+1)
		for i := range many {
			many[i] = fmt.Sprint("many ", i)
		}
		if tags, err = EnsureTags(ctx, f.db, many, f.clock.now()); err != nil || len(tags) != len(many) || tags[7].Value != "many 7" {
			t.Errorf("%d %v", len(tags), err)
		}
		if tags, err = EnsureTags(ctx, f.db, nil, f.clock.now()); err != nil || len(tags) != 0 {
			t.Errorf("%v %v", tags, err)
		}
	})
}

// follow runs the store until the test ends and waits until it listens.
func (f *fixture) follow() {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-done })
}

func TestATagIsRenamedAndDeletedOnEveryReplica(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, host := f.enroll(web("1"))
		f.ok(f.AddTag(ctx, host.ID, "blue"))
		before := f.find(host.ID)
		if fmt.Sprint(before.Tags) != "[blue new]" || len(before.TagIDs) != 2 || before.TagIDs[0] >= before.TagIDs[1] {
			t.Fatalf("%v %v", before.Tags, before.TagIDs)
		}
		other := f.replica()
		other.follow()
		hints, stop := f.bus.Subscribe(TopicTags)
		defer stop()

		f.ok(f.RenameTag(ctx, "blue", "red"))
		if got := f.find(host.ID); fmt.Sprint(got.Tags) != "[new red]" || fmt.Sprint(got.TagIDs) != fmt.Sprint(before.TagIDs) {
			t.Errorf("after the rename: %v %v", got.Tags, got.TagIDs)
		}
		<-hints
		eventually(t, "the other replica shows the rename", func() bool {
			f.bus.Publish(topicHosts) // the first may have come before it listened
			return fmt.Sprint(other.find(host.ID).Tags) == "[new red]"
		})
		f.ok(f.DeleteTag(ctx, " red"))
		<-hints
		if got := f.find(host.ID); fmt.Sprint(got.Tags) != "[new]" || len(got.TagIDs) != 1 {
			t.Errorf("after the deletion: %v %v", got.Tags, got.TagIDs)
		}
		eventually(t, "the other replica shows the deletion", func() bool {
			return fmt.Sprint(other.find(host.ID).Tags) == "[new]"
		})
	})
}

func TestARenamedTagDoesNotComeBackWithAnEnrolment(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, err := f.AddSecret(ctx, NewSecret{Name: "site", Secret: "site secret", Tags: []string{"a", "b", "c"}})
		f.ok(err)
		enroll := func(on *fixture, n string) *Host {
			e := web(n).enrollment()
			e.Secret = "site secret"
			_, host, err := on.Enroll(ctx, e)
			f.ok(err)
			return host
		}
		deaf := f.replica() // it hears no hints
		first := enroll(f, "1")
		f.ok(f.RenameTag(ctx, "a", "x"))
		f.ok(f.DeleteTag(ctx, "b"))
		if got := enroll(deaf, "2"); fmt.Sprint(got.Tags) != "[c x]" || got.TagIDs[0] != first.TagIDs[0] {
			t.Errorf("tags %v %v, at first %v", got.Tags, got.TagIDs, first.TagIDs)
		}
		if got := enroll(f, "3"); fmt.Sprint(got.Tags) != "[c x]" {
			t.Errorf("tags %v", got.Tags)
		}
		if tags, _, _, err := f.ListTags(ctx, TagFilter{}); err != nil || values(tags) != "c x" {
			t.Errorf("%s %v", values(tags), err)
		}
		// The secret names both from before the second existed.
		f.ok(f.DeleteTag(ctx, "c"))
		f.ok(f.RenameTag(ctx, "x", "c"))
		secrets, err := f.ListSecrets(ctx)
		f.ok(err)
		if fmt.Sprint(secrets[0].Name, secrets[0].Tags, secrets[1].Tags) != "site[c] [new]" {
			t.Errorf("%+v", secrets)
		}
	})
}

func TestEnrolmentsWhileATagIsRenamed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const rounds = 20
		f.enroll(web("0"))
		done := make(chan error, 1)
		go func() {
			name := "new"
			for i := range rounds {
				next := fmt.Sprint("new ", i)
				if err := f.RenameTag(t.Context(), name, next); err != nil {
					done <- err
					return
				}
				name = next
			}
			done <- nil
		}()
		deaf := f.replica()
		for i := 1; ; i++ {
			agent := web(fmt.Sprint(i))
			if _, _, err := deaf.Enroll(t.Context(), agent.enrollment()); err != nil && !fault.Is(err, fault.Busy) {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				f.ok(err)
				if tags, _, _, err := f.ListTags(t.Context(), TagFilter{}); err != nil || values(tags) != fmt.Sprint("new ", rounds-1) {
					t.Errorf("an enrolment brought a tag back: %s %v", values(tags), err)
				}
				return
			default:
			}
		}
	})
}

func TestTagsOfATransactionThatIsUndone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, host := f.enroll(web("1"))
		hints, stop := f.bus.Subscribe(TopicTags)
		defer stop()
		undo := errors.New("undo")
		err := f.db.Tx(ctx, func(tx *database.DB) error {
			in := f.With(tx)
			_, err := in.CreateTag(ctx, "made")
			f.ok(err)
			f.want(in.RenameTag(ctx, "new", "made"), fault.Conflict)
			f.ok(in.RenameTag(ctx, "new", "renamed"))
			f.ok(in.DeleteTag(ctx, "renamed"))
			tags, _, _, err := in.ListTags(ctx, TagFilter{})
			if err != nil || values(tags) != "made" {
				t.Errorf("inside: %s %v", values(tags), err)
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		if tags, _, _, err := f.ListTags(ctx, TagFilter{}); err != nil || values(tags) != "new" {
			t.Errorf("afterwards: %s %v", values(tags), err)
		}
		if got := f.find(host.ID); fmt.Sprint(got.Tags) != "[new]" {
			t.Errorf("the host has %v", got.Tags)
		}
		select {
		case <-hints:
			t.Error("a hint was given")
		default:
		}
	})
}

func TestCarriers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, one := f.enroll(web("1"))
		_, two := f.enroll(web("2"))
		_, gone := f.enroll(web("3"))
		f.ok(f.AddTag(ctx, two.ID, "blue"))
		f.ok(f.Remove(ctx, gone.ID))
		tags, err := FindTags(ctx, f.db, []string{"new", "blue"})
		f.ok(err)
		got := f.Carriers(ctx, []int64{tags[0].ID, tags[1].ID, 4711})
		want := map[int64][]string{tags[0].ID: {two.Identifier, one.Identifier}, tags[1].ID: {two.Identifier}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
