package outputs

import (
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestTwoDestinationsDoNotWriteOneFile(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		y := newYard(t, db)
		y.o.Folder = t.TempDir()
		y.o.Paths = []string{y.o.Folder}
		d, ctx := y.replica(), t.Context()
		file := func(path string) map[string]any { return map[string]any{"path": path} }
		y.add(d, NewDestination{Name: "first", Kind: "file", Settings: file("logs/a.jsonl")})
		for _, path := range []string{"logs/a.jsonl", "logs/../logs//a.jsonl", y.o.Folder + "/logs/a.jsonl"} {
			_, err := d.Add(ctx, NewDestination{Name: "second", Kind: "file", Streams: []Stream{StreamAlerts}, Settings: file(path)})
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", path, err)
			}
		}
		y.add(d, NewDestination{Name: "second", Kind: "file", Settings: file("logs/b.jsonl")})
		taken, own := file("logs/a.jsonl"), file("logs/b.jsonl")
		if _, _, err := d.Change(ctx, "second", DestinationChange{Settings: &taken}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a change to a file that another writes: %v", err)
		}
		if _, _, err := d.Change(ctx, "second", DestinationChange{Settings: &own}); err != nil {
			t.Errorf("a change that keeps the file: %v", err)
		}
	})
}

// Whoever may change a destination must not get its password sent in the clear.
func TestAPasswordForTLSStaysOnTLS(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		y := newYard(t, db)
		d := y.replica()
		kafka := func(secure bool, password string) map[string]any {
			return map[string]any{"brokers": []string{"kafka.example.com:9093"}, "topic": "logs", "tls": secure, "mechanism": "PLAIN", "username": "u", "password": password}
		}
		y.add(d, NewDestination{Name: "kafka", Kind: "kafka", Settings: kafka(true, "geheim")})
		same, clear, anew := kafka(true, Mask), kafka(false, Mask), kafka(false, "geheim")
		if _, _, err := d.Change(t.Context(), "kafka", DestinationChange{Settings: &same}); err != nil {
			t.Error(err)
		}
		if _, _, err := d.Change(t.Context(), "kafka", DestinationChange{Settings: &clear}); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("the password is sent in the clear: %v", err)
		}
		if _, _, err := d.Change(t.Context(), "kafka", DestinationChange{Settings: &anew}); err != nil {
			t.Error(err)
		}
	})
}
