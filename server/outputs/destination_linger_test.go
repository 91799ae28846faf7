package outputs

import (
	"compress/gzip"
	"io"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// stored are the lines of each object of the bucket logs, by name.
func stored(t *testing.T, objects *s3mem.Backend) map[string][]sent {
	t.Helper()
	list, err := objects.ListBucket("logs", nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]sent{}
	for _, o := range list.Contents {
		object, err := objects.GetObject("logs", o.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		zip, err := gzip.NewReader(object.Contents)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(zip)
		if err != nil {
			t.Fatal(err)
		}
		found[o.Key] = parse(t, text)
	}
	return found
}

// TestABatchWaitsForMore until its first row is old enough, it is full, or it was under
// way before.
func TestABatchWaitsForMore(t *testing.T) {
	now := lineStored.Add(time.Minute)
	d := &Destinations{o: DestinationOptions{Now: func() time.Time { return now }}}
	young, old := []row{{at: now.Add(-10 * time.Second)}, {at: now}}, []row{{at: now.Add(-30 * time.Second)}}
	for sentence, c := range map[string]struct {
		linger time.Duration
		got    fetched
		cursor cursorRow
		until  time.Time // zero: it goes out
	}{
		"a young one waits":                 {30 * time.Second, fetched{rows: young}, cursorRow{}, now.Add(20 * time.Second)},
		"also when more is about to commit": {30 * time.Second, fetched{rows: young, more: true}, cursorRow{}, now.Add(20 * time.Second)},
		"one that is old enough":            {30 * time.Second, fetched{rows: old}, cursorRow{}, time.Time{}},
		"one that is full":                  {30 * time.Second, fetched{rows: young, more: true, full: true}, cursorRow{}, time.Time{}},
		"one that was under way":            {30 * time.Second, fetched{rows: young}, cursorRow{Sending: 2}, time.Time{}},
		"a kind that does not gather":       {0, fetched{rows: young}, cursorRow{}, time.Time{}},
		"nothing but ids that went by":      {30 * time.Second, fetched{}, cursorRow{}, time.Time{}},
	} {
		f, s := &forwarding{d: d, batching: batching{linger: c.linger}}, &streaming{cursor: c.cursor}
		if waits := f.linger(s, c.got); waits == c.until.IsZero() || !s.notUntil.Equal(c.until) {
			t.Errorf("%s: %v until %v", sentence, waits, s.notUntil)
		}
	}
}

// TestAnObjectIsStoredAgain: a server that stops between storing an object and noting
// it stores the same object again.
func TestAnObjectIsStoredAgain(t *testing.T) {
	eachYard(t, func(y *yard) {
		server, objects, _ := startS3(y.t, false)
		d, ctx := y.replica(), y.t.Context()
		y.add(d, NewDestination{Name: "bucket", Kind: "s3", Settings: map[string]any{
			"endpoint": server.URL, "bucket": "logs", "access_key": "key", "secret_key": password, "path_style": true, "interval_seconds": 1,
		}})
		stop := y.background(d.Run)
		y.report(15)
		soon(y.t, "the cursor", func() bool { return y.progress(d, "bucket", StreamResults).Position == 15 })
		stop()
		if found := stored(y.t, objects); len(found) != 1 {
			y.t.Errorf("%d objects", len(found))
		}
		// As it is after a stop between storing and noting, with more rows since.
		y.ok(y.db.Write(ctx).Exec("UPDATE destination_cursors SET position = 0, sending = 15").Error)
		y.report(4)
		y.background(y.replica().Run)
		soon(y.t, "the cursor", func() bool { return y.progress(d, "bucket", StreamResults).Position == 19 })
		found := stored(y.t, objects)
		if len(found) != 2 {
			y.t.Errorf("%d objects", len(found))
		}
		rows := 0
		for _, lines := range found {
			rows += len(lines)
		}
		if rows != 19 {
			y.t.Errorf("19 rows are stored as %d", rows)
		}
	})
}
