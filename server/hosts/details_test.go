package hosts

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func (f *fixture) due(h *Host) string {
	return strings.Join(slices.Sorted(maps.Keys(f.DueDetails(h))), " ")
}

const everything = "interfaces os_version osquery_info system_info"

func (f *fixture) answer(id int64, names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.ok(f.SaveDetail(f.t.Context(), id, name, []map[string]string{{"mac": "02:00:00:00:00:01", "version": "6.0", "hostname": "n"}}))
	}
}

func TestDetailsAreAskedAfterEnrolmentAndDaily(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, host := f.enroll(web("1"))
		steps := []struct {
			name  string
			after time.Duration
			want  string
		}{
			{"right after the enrolment", 0, everything},
			{"not again at once", 119 * time.Second, ""},
			{"again after two minutes", time.Second, everything},
			{"a second time", 2 * time.Minute, everything},
			{"a third time", 2 * time.Minute, everything},
			{"but then not for an hour", 59 * time.Minute, ""},
			{"and hourly", time.Minute, everything},
		}
		for _, step := range steps {
			f.clock.advance(step.after)
			if got := f.due(host); got != step.want {
				t.Fatalf("%s: %q", step.name, got)
			}
		}
		f.answer(host.ID, "os_version", "system_info", "osquery_info")
		f.clock.advance(time.Hour)
		if got := f.due(host); got != "interfaces" {
			t.Errorf("one is missing: %q", got)
		}
		f.answer(host.ID, "interfaces")
		answered := f.clock.now()
		for _, store := range []*fixture{f, f.replica()} {
			if got := store.find(host.ID).DetailsAt; !got.Equal(answered) || store.due(host) != "" {
				t.Errorf("all answered at %v", got)
			}
		}
		f.clock.advance(24 * time.Hour)
		if got := f.due(host); got != everything {
			t.Errorf("a day later: %q", got)
		}
		f.answer(host.ID, "os_version", "system_info", "osquery_info", "interfaces")
		if got := f.find(host.ID).DetailsAt; !got.Equal(f.clock.now()) {
			t.Errorf("the second round ended %v", got)
		}
		_, again := f.enroll(web("1"))
		if got := f.due(again); got != everything {
			t.Errorf("after enrolling again: %q", got)
		}
	})
}

func TestDetailsAreKept(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, host := f.enroll(web("1"))
		save := func(name string, rows ...map[string]string) {
			t.Helper()
			f.ok(f.SaveDetail(ctx, host.ID, name, rows))
		}
		save("system_info", map[string]string{"hostname": "renamed", "uuid": "03000200-0400-0500-0006-000700080009",
			"cpu_type": "arm64", "cpu_brand": "M9\x00", "hardware_vendor": "Acme <&>", "board_serial": "x", "computer_name": "\xff"})
		save("os_version", map[string]string{"platform": "darwin", "name": "macOS", "version": "26.1"})
		save("osquery_info", map[string]string{"version": "5.24.0", "pid": "7"})
		save("interfaces",
			map[string]string{"mac": "02:00:00:00:00:01", "address": "10.1.1.1", "mask": "255.0.0.0", "ibytes": "9"},
			map[string]string{"mac": "", "address": "127.0.0.1"}, map[string]string{"mac": "00:00:00:00:00:00"})
		for _, store := range []*fixture{f, f.replica()} {
			got := store.find(host.ID)
			if got.Hostname != "renamed" || got.Arch != "arm64" || got.Platform != "darwin" || got.OSPlatform != "darwin" ||
				got.OsqueryVersion != "5.24.0" || got.HardwareUUID != host.HardwareUUID || got.ComputerName != "\uFFFD" {
				t.Errorf("%+v", got)
			}
			var node map[string]string
			f.ok(json.Unmarshal(got.NodeInfo, &node))
			if node["cpu_brand"] != "M9" || node["hardware_vendor"] != "Acme <&>" || node["board_serial"] != "" {
				t.Errorf("node_info %s", got.NodeInfo)
			}
			var network []map[string]string
			f.ok(json.Unmarshal(got.NetworkInfo, &network))
			if len(network) != 1 || len(network[0]) != len(interfaceColumns) || network[0]["address"] != "10.1.1.1" {
				t.Errorf("network_info %s", got.NetworkInfo)
			}
		}
		version := f.reg.version(host.ID)
		save("os_version", map[string]string{"version": "26.1", "name": "macOS", "platform": "darwin"})
		save("system_info")
		if f.reg.version(host.ID) != version {
			t.Error("an answer without news is written")
		}
		f.want(f.SaveDetail(ctx, host.ID, "users", nil), fault.Invalid)
		f.want(f.SaveDetail(ctx, 4711, "interfaces", nil), fault.NotFound)
		f.ok(f.Delete(ctx, host.ID, false))
		f.want(f.SaveDetail(ctx, host.ID, "interfaces", nil), fault.NotFound)
	})
}

func TestTheQuestionForInterfacesRunsOnEachPlatform(t *testing.T) {
	db := dbtest.Open(t, database.SQLite)
	for _, statement := range []string{
		"CREATE TABLE interface_addresses (interface text, address text, mask text)",
		`CREATE TABLE interface_details (interface text, mac text, ibytes int, obytes int, description text,
			manufacturer text, connection_id text, connection_status text, enabled text)`,
		"INSERT INTO interface_addresses VALUES ('lo', '127.0.0.1', 'm'), ('a', '10.0.0.1', 'm'), ('b', '10.0.0.2', 'm')",
		`INSERT INTO interface_details VALUES ('lo', '00:00:00:00:00:00', 9, 9, '', '', '', '', ''),
			('a', '02:01', 1, 1, 'da', '', '', '', '1'), ('b', '02:02', 2, 1, 'db', '', '', '', '1')`,
	} {
		if err := db.Write(t.Context()).Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	for platform, want := range map[string]string{"windows": "[db da]", "linux": "[ ]", "darwin": "[ ]", "freebsd": "[ ]"} {
		// A column that is missing leaves its field as it is.
		var rows []struct {
			Address, Mask, Mac, Description, Manufacturer, ConnectionID, ConnectionStatus, Enabled *string
		}
		if err := db.Read(t.Context()).Raw(detailSQL(detailInterfaces, platform)).Scan(&rows).Error; err != nil {
			t.Fatalf("%s: %v", platform, err)
		}
		var descriptions []string
		for _, row := range rows {
			for _, value := range []*string{row.Address, row.Mask, row.Mac, row.Manufacturer, row.ConnectionID, row.ConnectionStatus, row.Enabled} {
				if value == nil {
					t.Fatalf("%s: a column is missing", platform)
				}
			}
			descriptions = append(descriptions, *row.Description)
		}
		if fmt.Sprint(descriptions) != want || *rows[0].Address != "10.0.0.2" {
			t.Errorf("%s: %v", platform, rows)
		}
	}
}

func FuzzReadFacts(f *testing.F) {
	f.Add("id", "9", "hostname", "box\x00", "uuid", "AAAA")
	f.Add("\xff\x00", "-1", "cpu_brand", strings.Repeat("é", 2000), "instance_id", "\x7f")
	f.Fuzz(func(t *testing.T, identifier, mask, column, value, column2, value2 string) {
		row := map[string]string{column: value, column2: value2}
		got := readFacts(Enrollment{Identifier: identifier, PlatformType: mask, Address: value, Details: map[string]map[string]string{
			"system_info": row, "os_version": row, "osquery_info": row, column: row,
		}})
		for _, text := range []string{got.identifier, got.instanceID, got.uuid, got.serial, got.hostname, got.computerName,
			got.platform, got.osPlatform, got.arch, got.osqueryVersion, got.address} {
			if len(text) > maxIdentifier || !utf8.ValidString(text) || strings.ContainsRune(text, 0) || strings.TrimSpace(text) != text {
				t.Errorf("%q", text)
			}
		}
		for _, text := range []string{got.osInfo, got.nodeInfo, got.osqueryInfo, got.details} {
			var value any
			if text == "" {
				continue
			}
			if err := json.Unmarshal([]byte(text), &value); err != nil || !utf8.ValidString(text) || strings.ContainsRune(fmt.Sprint(value), 0) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
