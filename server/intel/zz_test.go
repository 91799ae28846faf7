package intel

import (
	"sync"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/seal"
)

func TestZZ(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		box, _ := seal.New(make([]byte, 32))
		for range 20 {
			s := New(db, box)
			if _, _, err := s.SetKeys(t.Context(), Change{Remove: Providers()}); err != nil { t.Fatal(err) }
			var w sync.WaitGroup
			for _, p := range []Provider{VirusTotal, AlienVault} {
				w.Go(func() {
					if _, _, err := s.SetKeys(t.Context(), Change{Set: map[Provider]Key{p: {Key: "x"}}}); err != nil { t.Error(err) }
				})
			}
			w.Wait()
			if k, _ := s.Keys(t.Context()); len(k) != 2 { t.Errorf("lost: %v", k) }
		}
	})
}
