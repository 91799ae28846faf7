package adminapi

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/httpkit"
	"muster/server/indicator"
)

const badHash = "275a021bbfb6489e54d471899f7db9d1"

// sightings is a log with indicators, the older part of it in the index.
func (w *world) sightings() {
	w.logged(1, "processes", "added", `{"path":"/usr/bin/agent","md5":"275A021BBFB6489E54D471899F7DB9D1","pid":"42"}`)
	w.logged(1, "processes", "removed", `{"path":"/usr/bin/agent","md5":"275a021bbfb6489e54d471899f7db9d1","pid":"41"}`)
	w.logged(2, "win_dns_events", "added", `{"domain_name":".www.Evil.example","remote_address":"172.31.0.2"}`)
	w.clock.pass(time.Hour)
	w.ok(w.deps.Results.ObserveAll(w.t.Context()))
	w.logged(1, "file_events", "added", `{"target_path":"/tmp/=x","md5":"275a021bbfb6489e54d471899f7db9d1","sha256":"ab"}`)
	w.logged(1, "processes", "snapshot", `{"path":"/usr/bin/other","md5":"275a021bbfb6489e54d471899f7db9d1","name":"other"}`, `["no object"]`)
	w.logged(2, "socket_events", "added", `{"remote_address":"::ffff:172.31.0.2"}`)
	w.clock.pass(time.Hour)
}

// sent uploads a file and returns the answer.
func (w *world) sent(path string, file upload, args map[string]any) (int, string, []byte) {
	w.t.Helper()
	response := w.ask(example{method: "POST", path: path, file: &file, send: args})
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	return response.StatusCode, response.Header.Get("Content-Disposition"), body
}

func (w *world) expectUpload(golden, path string, file upload, args map[string]any) {
	w.t.Helper()
	status, _, body := w.sent(path, file, args)
	w.golden(golden, status, body)
}

func TestHunt(t *testing.T) {
	each(t, func(w *world) {
		w.sightings()
		hashes := upload{"../../etc/passwd", "\uFEFF" + badHash + "\r\n\r\n 275a71899fdjsaddb9d1663fc695ec2fe2a2c453fsgs\n" + strings.ToUpper(badHash)}
		w.expectUpload("hunt", "/hunt-upload", hashes, map[string]any{"type": "md5"})
		w.expect("hunt", "POST", "/indicators/hunt", map[string]any{"type": "md5", "indicators": "nothing, " + strings.ToUpper(badHash)})
		w.expect("hunt", "POST", "/indicators/hunt?type=md5", map[string]any{"indicators": []string{"nothing", badHash}})

		ofHost := map[string]any{"type": "md5", "host_identifier": webHost, "query_name": "processes"}
		w.expectUpload("hunt_host", "/hunt-upload", hashes, ofHost)
		ofHost["indicators"] = badHash
		w.expect("hunt_host", "POST", "/indicators/hunt?limit=0", ofHost)
		w.expect("hunt_host_page", "POST", "/indicators/hunt?start=1&limit=1", ofHost)

		w.expect("hunt_domain", "POST", "/indicators/hunt", map[string]any{"type": "domain_name", "indicators": "WWW.evil.example."})
		w.expect("hunt_address", "POST", "/indicators/hunt", map[string]any{"type": "remote_address", "indicators": "172.31.0.2\n10.0.0.1"})
		w.expect("hunt_path", "POST", "/indicators/hunt", map[string]any{"type": "path", "indicators": []string{"/tmp/=X"}})
		w.expect("hunt_range", "POST", "/indicators/hunt", map[string]any{"type": "md5", "indicators": badHash, "to": "2026-03-01T13:00:00Z"})
		w.expect("hunt_none", "POST", "/indicators/hunt", map[string]any{"type": "md5", "indicators": "% ,_"})
	})
}

func TestHuntsThatAreWrong(t *testing.T) {
	each(t, func(w *world) {
		w.expect("hunt_missing", "POST", "/indicators/hunt", nil)
		w.expect("hunt_missing_file", "POST", "/hunt-upload", map[string]any{"file": "text"})
		w.expect("hunt_type", "POST", "/indicators/hunt", map[string]any{"type": "color", "indicators": "red"})
		w.expect("hunt_no_host", "POST", "/indicators/hunt", map[string]any{"type": "md5", "indicators": "a", "host_identifier": "nobody", "query_name": "q"})
		w.expect("hunt_no_query", "POST", "/indicators/hunt", map[string]any{"type": "md5", "indicators": "a", "host_identifier": webHost})
		w.expectUpload("hunt_unreadable", "/hunt-upload", upload{"x.csv", "\xff\xfe5\x00"}, map[string]any{"type": "md5"})
		w.expectUpload("hunt_export_no_host", "/hunt-upload/export", upload{"x", "a"}, map[string]any{"type": "md5", "host_identifier": "nobody", "query_name": "q"})
		w.expectUpload("hunt_export_missing", "/hunt-upload/export", upload{"x", "a"}, nil)
		status, _, body := w.sent("/hunt-upload", upload{"x", strings.Repeat("a\n", huntLimit/2)}, map[string]any{"type": "md5"})
		if status != http.StatusRequestEntityTooLarge {
			t.Errorf("a file that is too large: %d %s", status, body)
		}
	})
}

func TestHuntsLeaveOutRemovedHosts(t *testing.T) {
	each(t, func(w *world) {
		w.sightings()
		if status, body := w.do("PUT", "/hosts/1/delete", nil); status != http.StatusOK {
			t.Fatalf("%s", body)
		}
		w.expect("hunt_enabled", "POST", "/indicators/hunt", map[string]any{"type": "md5", "indicators": badHash})
		w.expectUpload("hunt_activity_enabled", "/indicators/upload", upload{"x", badHash}, map[string]any{"indicator_type": "md5"})
	})
}

func TestHuntActivity(t *testing.T) {
	each(t, func(w *world) {
		w.sightings()
		hashes := upload{"hashes.txt", badHash}
		w.expectUpload("hunt_activity", "/indicators/upload", hashes, map[string]any{"indicator_type": "md5"})
		w.expectUpload("hunt_activity_page", "/indicators/upload", hashes, map[string]any{"indicator_type": "md5", "start": 1, "limit": 1, "host_identifier": webHost})
		w.expectUpload("hunt_activity_before", "/indicators/upload", hashes, map[string]any{"indicator_type": "md5", "date": "2026-2-20", "duration": 1, "type": 1})
		_, name, body := w.sent("/indicators/upload/export", hashes, map[string]any{"indicator_type": "md5", "query_name": "processes"})
		want := "path,md5,name,pid\n/usr/bin/other," + badHash + ",other,\n/usr/bin/agent," + strings.ToUpper(badHash) + ",,42\n"
		if diff := cmp.Diff(want, string(body)); diff != "" || name != "attachment; filename=hunt_query_results.csv" {
			t.Error(name, diff)
		}
	})
}

func TestHuntExport(t *testing.T) {
	each(t, func(w *world) {
		w.sightings()
		of := map[string]any{"type": "md5", "host_identifier": webHost, "query_name": "file_events"}
		_, name, body := w.sent("/hunt-upload/export", upload{"hashes.txt", badHash}, of)
		want := "target_path,md5,sha256\n/tmp/=x," + badHash + ",ab\n"
		if diff := cmp.Diff(want, string(body)); diff != "" || name != "attachment; filename=hunt_query_results.csv" {
			t.Error(name, diff)
		}
		of["indicators"] = badHash
		if _, body := w.file("/indicators/hunt/export", of); body != want {
			t.Errorf("%q", body)
		}
		of["indicators"] = "nothing"
		if _, body := w.file("/indicators/hunt/export", of); body != "" {
			t.Errorf("of nothing: %q", body)
		}
	})
}

// TestTypesOfIndicators keeps the choices of the arguments and the types as one.
func TestTypesOfIndicators(t *testing.T) {
	w := &api{door: &httpkit.Door{}}
	for _, r := range w.huntRoutes() {
		name := "type"
		if strings.HasPrefix(r.path, "/indicators/upload") {
			name = "indicator_type"
		}
		var choices []string
		for i := range r.endpoint.takes.NumField() {
			field := r.endpoint.takes.Field(i)
			tag := field.Tag.Get("arg")
			if field.Anonymous && field.Type.Name() == "huntFor" {
				tag = field.Type.Field(0).Tag.Get("arg")
			}
			if _, list, found := strings.Cut(tag, "choices="); found && strings.HasPrefix(tag, name+",") {
				choices = strings.Split(list, "|")
			}
		}
		var types []string
		for _, kind := range indicator.Types() {
			types = append(types, string(kind))
		}
		if !slices.Equal(choices, types) {
			t.Errorf("%s takes %v", r.path, choices)
		}
	}
}
