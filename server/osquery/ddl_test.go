package osquery

import (
	"testing"

	"github.com/mattn/go-sqlite3"
)

func TestDDL(t *testing.T) {
	opened, err := (&sqlite3.SQLiteDriver{}).Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	for _, table := range Tables() {
		if _, err := opened.(*sqlite3.SQLiteConn).Exec(table.DDL(), nil); err != nil {
			t.Errorf("%s: %v", table.DDL(), err)
		}
	}
	for name, want := range map[string]string{
		"account_policy_data": "CREATE TABLE account_policy_data (uid BIGINT, creation_time DOUBLE, failed_login_count BIGINT, failed_login_timestamp DOUBLE, password_last_set_time DOUBLE)",
		"selinux_settings":    "CREATE TABLE selinux_settings (scope TEXT, key TEXT, value TEXT)",
	} {
		if table, found := Find(name); !found || table.DDL() != want {
			t.Errorf("%s", table.DDL())
		}
	}
}
