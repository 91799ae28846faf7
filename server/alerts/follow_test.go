package alerts

import (
	"slices"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func (r *rig) followed(after int64, most, bytes int) (ids []int64, found Followed) {
	r.t.Helper()
	found, err := r.Follow(r.t.Context(), after, most, bytes)
	r.ok(err)
	ids = []int64{}
	for _, alert := range found.Alerts {
		ids = append(ids, alert.ID)
	}
	return ids, found
}

func TestFollowing(t *testing.T) {
	each(t, func(r *rig) {
		if ids, found := r.followed(0, 10, 1<<20); len(ids) != 0 || found.Next != 0 || found.More {
			t.Errorf("without alerts: %+v", found)
		}
		for _, group := range []string{"rule:1", "rule:2", "rule:3", "rule:4"} {
			f := finding(1)
			f.Group = group
			r.raised(f)
		}
		for sentence, c := range map[string]struct {
			after       int64
			most, bytes int
			ids         []int64
			next        int64
			more        bool
		}{
			"everything":                 {0, 10, 1 << 20, []int64{1, 2, 3, 4}, 4, false},
			"what comes after an id":     {2, 10, 1 << 20, []int64{3, 4}, 4, false},
			"no more than asked for":     {1, 2, 1 << 20, []int64{2, 3}, 3, true},
			"one, however large":         {0, 10, 1, []int64{1}, 1, true},
			"nothing after the last one": {4, 10, 1 << 20, []int64{}, 4, false},
		} {
			ids, found := r.followed(c.after, c.most, c.bytes)
			if !slices.Equal(ids, c.ids) || found.Next != c.next || found.More != c.more || found.Missed != 0 {
				t.Errorf("%s: %v, %+v", sentence, ids, found)
			}
		}
		oldest, newest, since, err := r.Ends(t.Context(), 3)
		if err != nil || oldest != 1 || newest != 4 || !since.Equal(r.Now()) {
			t.Errorf("%d to %d, since %v, %v", oldest, newest, since, err)
		}
		r.ok(r.db.Write(t.Context()).Exec("DELETE FROM alerts WHERE id IN (1, 3)").Error)
		if ids, found := r.followed(0, 10, 1<<20); !slices.Equal(ids, []int64{2, 4}) || found.Missed != 2 {
			t.Errorf("%v, missed %d", ids, found.Missed)
		}
	})
}

func TestAnAlertThatCommitsLaterIsNotSkipped(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.Postgres))
	pool := r.db.Pool()
	late, err := pool.Begin(t.Context())
	r.ok(err)
	defer func() { _ = late.Rollback(t.Context()) }()
	_, err = late.Exec(t.Context(), `INSERT INTO alerts (host_id, source, name, group_key, severity, created_at, last_event_at, updated_at)
		VALUES (1, 'rule', 'late', 'x', 'LOW', 1, 1, 1)`)
	r.ok(err)
	r.raised(finding(2))
	if ids, found := r.followed(0, 10, 1<<20); len(ids) != 0 || found.Next != 0 || !found.More {
		t.Errorf("%v, %+v", ids, found)
	}
	r.ok(late.Commit(t.Context()))
	if ids, _ := r.followed(0, 10, 1<<20); !slices.Equal(ids, []int64{1, 2}) {
		t.Errorf("%v", ids)
	}
}
