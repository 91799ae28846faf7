package condition_test

import (
	"strings"
	"testing"

	"muster/server/condition"
)

// benign is a row such as most are: of process_events, on Linux.
const benign = `{"action":"","auid":"1000","btime":"0","cmdline":"/usr/lib/git-core/git --git-dir=/srv/repo/.git rev-parse --verify HEAD","ctime":"1718000000",` +
	`"cwd":"/srv/repo","egid":"1000","euid":"1000","gid":"1000","parent":"4211","path":"/usr/lib/git-core/git","pid":"4212","time":"1718031142","uid":"1000"}`

const suspicious = `{"condition":"AND","rules":[
	{"field":"action","operator":"not_equal","value":"removed"},
	{"condition":"OR","rules":[
		{"field":"cmdline","operator":"contains","value":"/dev/tcp/"},
		{"field":"cmdline","operator":"contains","value":"base64 -d"},
		{"field":"path","operator":"ends_with","value":"/nc"},
		{"field":"path","operator":"begins_with","value":"/tmp/"},
		{"field":"cmdline","operator":"matches_wildcard","value":"*curl*|*sh*"},
		{"condition":"AND","rules":[{"field":"uid","operator":"equal","value":"0"},{"field":"auid","operator":"greater","value":999}]}]}]}`

func BenchmarkMatch(b *testing.B) {
	tree, err := parse(suspicious)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("columns as loaded", func(b *testing.B) {
		var row condition.Object
		if err := row.Load(benign); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if tree.Match(&row) {
				b.Fatal("it matches")
			}
		}
	})
	b.Run("columns as stored", func(b *testing.B) {
		var row condition.Object
		b.ReportAllocs()
		for b.Loop() {
			if err := row.Load(benign); err != nil || tree.Match(&row) {
				b.Fatal("it matches")
			}
		}
	})
	b.Run("a long value", func(b *testing.B) {
		long := strings.Repeat("powershell -enc ", 4096)
		var row condition.Object
		if err := row.Load(`{"cmdline":"` + long + `"}`); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(long)))
		b.ReportAllocs()
		for b.Loop() {
			if tree.Match(&row) {
				b.Fatal("it matches")
			}
		}
	})
}
