package adminapi

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestZZ(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		for i := range 150 {
			w.do("POST", "/tags/add", map[string]any{"tag": fmt.Sprint("t", i)})
		}
		start := time.Now()
		var g sync.WaitGroup
		for i := range 150 {
			g.Go(func() {
				s, b := w.do("POST", "/tags/delete", map[string]any{"tag": fmt.Sprint("t", i), "dry_run": true})
				if s != 200 { t.Errorf("%d %s", s, b) }
			})
		}
		g.Wait()
		t.Log(time.Since(start))
	})
}
