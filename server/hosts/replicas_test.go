package hosts

import (
	"sync"
	"testing"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestReplicasThatStartTogetherAgreeOnTheSecret(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		var starting sync.WaitGroup
		for range 6 {
			starting.Go(func() {
				s := New(db, bus.NewMemory(), discard(), Options{})
				if err := s.EnsureSecret(t.Context(), NewSecret{Name: "default", Secret: "the same for all"}); err != nil {
					t.Error(err)
				}
			})
		}
		starting.Wait()
		secrets, err := New(db, bus.NewMemory(), discard(), Options{}).ListSecrets(t.Context())
		if err != nil || len(secrets) != 1 {
			t.Errorf("%+v %v", secrets, err)
		}
	})
}
