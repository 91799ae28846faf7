package pipeline

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"muster/server/alerts"
	"muster/server/carves"
	"muster/server/fault"
	"muster/server/outputs"
	"muster/yara"
)

const evil = `rule evil : bad { meta: severity = "critical" strings: $a = "EVIL" condition: $a }`

// scanHere is a Scanner without a process of its own.
func scanHere(_ context.Context, o yara.Order, file *os.File) (yara.Report, error) {
	rules, _, err := yara.CompileSet(o.Sources)
	if err != nil {
		return yara.Report{}, err
	}
	defer rules.Close()
	var report yara.Report
	return report, ScanMembers(o, rules, file, &report)
}

// scans is what scans the carves of a rig, with one file of rules.
func (r *rig) scans(scan yara.Scanner) *CarveScans {
	r.Helper()
	files := yara.New(r.db, r.bus, slog.New(slog.DiscardHandler), yara.Options{})
	r.ok(files.Load(r.Context()))
	r.addYARA(files, "evil.yar", evil)
	return &CarveScans{Raiser: r.pipeline.Detection.Raiser, Carves: r.carves, YARA: files, Scan: scan, Log: slog.New(slog.DiscardHandler)}
}

func (r *rig) addYARA(files *yara.Store, name, content string) {
	r.Helper()
	_, err := files.Add(r.Context(), yara.NewFile{Name: name, Content: content})
	r.ok(err)
}

// carve hands over an archive and returns its id.
func (r *rig) carve(guid string, data []byte) *carves.Carve {
	r.Helper()
	size := int64(len(data))
	session, err := r.carves.Start(r.Context(), r.host.ID, carves.Start{GUID: guid, Size: size, BlockSize: size, BlockCount: 1})
	r.ok(err)
	r.ok(r.carves.Block(r.Context(), carves.Block{SessionID: session, Data: data}))
	c, err := r.carves.Find(r.Context(), session)
	r.ok(err)
	if c.Status != carves.Completed {
		r.Fatalf("the carve is %+v", c)
	}
	return c
}

func archive(t *testing.T, guid string, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for name, content := range files {
		header := &tar.Header{Name: "/tmp/osquery_carve_" + guid + "/" + name, Size: int64(len(content)), Mode: 0o644, Format: tar.FormatPAX}
		if err := errors.Join(w.WriteHeader(header), second(w.Write([]byte(content)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func second(_ int, err error) error { return err }

func packed(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	return w.EncodeAll(data, nil)
}

// scanAll queues what is to be scanned and does it.
func (r *rig) scanAll(c *CarveScans) {
	r.Helper()
	r.ok(c.Queue(r.Context()))
	for _, job := range r.waiting(ScanJob) {
		r.ok(c.Work(r.Context(), job))
		r.ok(r.db.Write(r.Context()).Exec("DELETE FROM jobs WHERE id = ?", job.ID).Error)
	}
}

func TestCarvesAreScannedMemberByMemberAndAgainWithNewFiles(t *testing.T) {
	each(t, rigOptions{everyone: []string{"debug"}}, func(r *rig) {
		c := r.scans(scanHere)
		files := map[string]string{"bin/tool": "an EVIL tool", "etc/hosts": "127.0.0.1 localhost"}
		plain := r.carve("one", archive(r.T, "one", files))
		zipped := r.carve("two", packed(r.T, archive(r.T, "two", files)))
		r.carve("three", []byte("EVIL without an archive"))
		r.scanAll(c)

		raised := r.raised()
		if len(raised) != 1 || raised[0].EventCount != 3 { // one rule on one host within a minute
			r.Fatalf("raised %+v", raised)
		}
		a := raised[0]
		if a.Source != alerts.YARA || a.Name != "evil" || a.Severity != "CRITICAL" || a.Columns == nil {
			r.Errorf("the alert is %+v", a)
		}
		data := decoded[map[string]any](r, a.SourceData)
		want := []any{map[string]any{"name": "$a", "offset": 3.0, "data": "EVIL"}}
		if cmp.Diff(want, data["strings"]) != "" || data["rule"] != "evil" || data["file"] != "evil.yar" || data["carve_id"] != float64(plain.ID) {
			r.Errorf("it says %v", data)
		}
		if got := len(r.waiting(outputs.NotifyKind)); got != 1 {
			r.Errorf("%d are told", got)
		}
		for _, carve := range []*carves.Carve{plain, zipped} {
			scan, err := c.YARA.FindScan(r.Context(), carve.ID)
			if r.ok(err); scan.Members != 2 || scan.Matches != 1 || scan.Status != yara.Scanned || scan.Error != "" {
				r.Errorf("the scan is %+v", scan)
			}
		}

		r.scanAll(c) // nothing is new
		if r.count("alert_events") != 3 {
			r.Errorf("%d events", r.count("alert_events"))
		}
		r.addYARA(c.YARA, "local.yar", `rule localhost { strings: $a = "localhost" condition: $a }`)
		r.scanAll(c)
		if raised := r.raised(); len(raised) != 2 || raised[0].Name != "localhost" || raised[0].EventCount != 2 || raised[1].EventCount != 3 {
			r.Errorf("after another file: %+v", raised)
		}
	})
}

func TestAScanThatFailsIsNotedAndNotTriedForEver(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		times := 0
		c := r.scans(func(context.Context, yara.Order, *os.File) (yara.Report, error) {
			times++
			return yara.Report{}, fault.New(fault.Unprocessable, "The scan crashed")
		})
		carve := r.carve("one", []byte("EVIL"))
		r.scanAll(c)
		r.scanAll(c)
		scan, err := c.YARA.FindScan(r.Context(), carve.ID)
		if r.ok(err); times != 1 || scan.Status != yara.ScanFailed || scan.Error != "The scan crashed" {
			r.Errorf("%d times, %+v", times, scan)
		}
		c.Scan = func(context.Context, yara.Order, *os.File) (yara.Report, error) {
			return yara.Report{}, fault.New(fault.Internal, "no process")
		}
		other := r.carve("two", []byte("EVIL"))
		args, _ := json.Marshal(scanArgs{other.ID})
		r.ok(c.Queue(r.Context()))
		job := r.waiting(ScanJob)[0]
		job.Args = args
		if err := c.Work(r.Context(), job); !fault.Is(err, fault.Internal) {
			r.Errorf("a failure of ours is tried again: %v", err)
		}
	})
}

func TestADamagedArchiveIsScannedAsFarAsItGoes(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		c := r.scans(scanHere)
		whole := archive(r.T, "one", map[string]string{"a": "EVIL"})
		carve := r.carve("one", whole[:len(whole)-1500])
		r.scanAll(c)
		scan, err := c.YARA.FindScan(r.Context(), carve.ID)
		if r.ok(err); scan.Matches != 1 || scan.Status != yara.Scanned {
			r.Errorf("%+v", scan)
		}
	})
}
