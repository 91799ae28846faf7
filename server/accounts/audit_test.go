package accounts

import (
	"fmt"
	"testing"
	"time"
)

func TestListAudit(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx, start := t.Context(), c.Now()
		for i, e := range []AuditEntry{
			{Username: "ann", Action: "host.remove", Subject: "H1"},
			{Username: "ann", Action: "host.enable", Subject: "H1"},
			{Username: "bob", Action: "hosts", Subject: "H%"},
			{Username: "bob", Action: "tag.rename", Subject: "H1"},
		} {
			if i > 0 {
				c.pass(time.Minute)
			}
			if err := s.Record(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
		for _, test := range []struct {
			name   string
			filter AuditFilter
			want   string
			count  int
		}{
			{"the beginning of an action", AuditFilter{Action: "host."}, "host.enable host.remove ", 2},
			{"a beginning that is no wildcard", AuditFilter{Action: "%"}, "", 0},
			{"a subject", AuditFilter{Subject: "H1"}, "tag.rename host.enable host.remove ", 3},
			{"a subject that is no wildcard", AuditFilter{Subject: "H%"}, "hosts ", 1},
			{"a name", AuditFilter{Username: "ann"}, "host.enable host.remove ", 2},
			{"a stretch of time", AuditFilter{Username: "bob", From: at(1), To: at(3)}, "hosts ", 1},
			{"the beginning of a stretch counts", AuditFilter{From: at(3)}, "tag.rename ", 1},
			{"a page", AuditFilter{Subject: "H1", Start: 1, Limit: 1}, "host.enable ", 3},
		} {
			entries, count, total, err := s.ListAudit(ctx, test.filter)
			got := ""
			for _, e := range entries {
				got += e.Action + " "
			}
			if err != nil || got != test.want || count != test.count || total != 5 {
				t.Errorf("%s: %q, %d of %d, %v", test.name, got, count, total, err)
			}
		}
	})
}

func TestTheAuditTrailIsReadByAnIndex(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		if s.db.Engine() != "sqlite" {
			return // PostgreSQL scans a table that is almost empty, whatever index there is
		}
		where, args := AuditFilter{From: c.Now(), Action: "host."}.where()
		var plan []struct{ Detail string }
		err := s.db.Read(t.Context()).Raw("EXPLAIN QUERY PLAN SELECT id FROM audit"+where+" ORDER BY at DESC, id DESC LIMIT 10", args...).Scan(&plan).Error
		if err != nil || len(plan) != 1 || plan[0].Detail != "SEARCH audit USING INDEX audit_at (at>?)" {
			t.Errorf("%s %v", fmt.Sprint(plan), err)
		}
	})
}
