package schedule

import (
	"fmt"
	"reflect"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestVersionsAreKeptAndRestored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		shipped, first := found(t, s, linuxConfig), configOf(t, s, host(linux, "x86_64")).ETag
		if versions, err := s.Versions(t.Context(), linuxConfig); err != nil || len(versions) != 1 || versions[0].Version != 1 {
			t.Fatal(versions, err)
		}
		if v, err := s.FindVersion(t.Context(), linuxConfig, 1); err != nil || !reflect.DeepEqual(v.Config.Queries, shipped.Queries) {
			t.Fatal(v, err)
		}
		if _, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, `{"users":{"status":true,"interval":61}}`, `{}`)); err != nil {
			t.Fatal(err)
		}
		second := configOf(t, s, host(linux, "x86_64")).ETag
		restored, err := s.RestoreConfig(t.Context(), linuxConfig, 1, Author{"eve", "back"})
		if err != nil || restored.Version != 3 || restored.Before != 2 || !reflect.DeepEqual(restored.Queries, shipped.Queries) {
			t.Fatal(restored, err)
		}
		if configOf(t, s, host(linux, "x86_64")).ETag != first || second == first {
			t.Error("hosts do not get what they had")
		}
		versions, err := s.Versions(t.Context(), linuxConfig)
		if err != nil || len(versions) != 3 {
			t.Fatal(versions, err)
		}
		var got string
		for _, v := range versions {
			got += fmt.Sprintf("%d %s %s, ", v.Version, v.Username, v.Comment)
			if v.Created.IsZero() {
				t.Errorf("version %d has no time", v.Version)
			}
		}
		if got != "3 eve back, 2 ada why not, 1  , " {
			t.Errorf("got %s", got)
		}
		if v, err := s.FindVersion(t.Context(), linuxConfig, 2); err != nil || v.Config.Queries["users"].Interval != 61 || v.Username != "ada" {
			t.Errorf("%+v %v", v, err)
		}
		if same, err := s.RestoreConfig(t.Context(), linuxConfig, 3, Author{}); err != nil || same.Version != 3 {
			t.Errorf("restoring what is there: %v %v", same.Version, err)
		}
		for _, version := range []int{0, 4} {
			if _, err := s.RestoreConfig(t.Context(), linuxConfig, version, Author{}); !fault.Is(err, fault.NotFound) {
				t.Errorf("version %d: %v", version, err)
			}
		}
	})
}

func TestOldVersionsGo(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	for i := range keptVersions + 5 {
		if _, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, fmt.Sprintf(`{"users":{"status":true,"interval":%d}}`, 60+i), `{}`)); err != nil {
			t.Fatal(err)
		}
	}
	versions, err := s.Versions(t.Context(), linuxConfig)
	if err != nil || len(versions) != keptVersions+1 || versions[0].Version != keptVersions+6 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
}

func TestAVersionThatAgentsRefuseIsNotRestored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		if _, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, `{}`, `{}`)); err != nil {
			t.Fatal(err)
		}
		exec(t, db, `UPDATE config_versions SET document = '{"filters":{"error":1}}' WHERE version = 1`)
		before := configOf(t, s, host(linux, "x86_64")).ETag
		if _, err := s.RestoreConfig(t.Context(), linuxConfig, 1, Author{}); !fault.Is(err, fault.Unprocessable) {
			t.Error(err)
		}
		if configOf(t, s, host(linux, "x86_64")).ETag != before {
			t.Error("hosts get something else")
		}
	})
}

func TestAnUpdateOfTheServerIsAVersionToo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		loaded(t, db, Options{})
		const earlier = `{"queries":{"old":{"query":"select 1"}}}`
		exec(t, db, "UPDATE configs SET document = ? WHERE platform = 'linux'", earlier)
		var installed map[string]string
		if _, err := db.Setting(t.Context(), shippedSetting, &installed); err != nil {
			t.Fatal(err)
		}
		i := installer{installed: installed}
		i.record("configs/linux", earlier)
		if err := db.SetSetting(t.Context(), shippedSetting, installed); err != nil {
			t.Fatal(err)
		}
		s := loaded(t, db, Options{})
		if v, err := s.FindVersion(t.Context(), linuxConfig, 1); err != nil || v.Config.Queries["old"].SQL == "" {
			t.Errorf("%+v %v", v, err)
		}
		if c := found(t, s, linuxConfig); c.Version != 2 || c.Queries["users"].SQL == "" {
			t.Errorf("%+v", c)
		}
	})
}
