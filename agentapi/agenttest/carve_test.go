package agenttest

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// carveStart and carveBlock are what the carver posts.
type carveStart struct {
	BlockCount, BlockSize, CarveSize int64
	CarveID, RequestID               string
}

func (c *carveStart) UnmarshalJSON(text []byte) error {
	var wire struct {
		Count   int64  `json:"block_count"`
		Size    int64  `json:"block_size"`
		Total   int64  `json:"carve_size"`
		ID      string `json:"carve_id"`
		Request string `json:"request_id"`
	}
	err := json.Unmarshal(text, &wire)
	*c = carveStart{wire.Count, wire.Size, wire.Total, wire.ID, wire.Request}
	return err
}

// uploaded puts the blocks together.
func uploaded(t *testing.T, server *reference) (carveStart, []byte) {
	t.Helper()
	var start carveStart
	must(t, json.Unmarshal([]byte(server.seen("/start_uploads")[0].body), &start))
	var file []byte
	for _, r := range server.seen("/upload_blocks") {
		var block struct{ Data string }
		must(t, json.Unmarshal([]byte(r.body), &block))
		data, err := base64.StdEncoding.DecodeString(block.Data)
		must(t, err)
		file = append(file, data...)
	}
	return start, file
}

func TestACarveIsAPaxTarInBlocks(t *testing.T) {
	for name, test := range map[string]struct {
		platform Platform
		path     string
		zstd     string
		member   string
	}{
		"on Linux":   {Linux, "/etc/hosts", "false", "/tmp/osquery_carve_%s/etc/hosts"},
		"on Windows": {Windows, `C:\Users\x\a.txt`, "false", `C:\Windows\Temp\osquery_carve_%s\C\Users\x\a.txt`},
		"in zstd":    {Darwin, "/etc/hosts", "true", "/tmp/osquery_carve_%s/etc/hosts"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReference(t)
			content := []byte(strings.Repeat("0123456789", 500))
			a, _ := server.agent(t, func(o *Options) {
				o.Platform = test.platform
				o.Files = map[string][]byte{test.path: content}
				o.Flags = map[string]string{"carver_compression": test.zstd, "carver_block_size": "1000"}
			})
			_, rows, err := a.Query(t.Context(), "select carve_guid, status, size, carve from carves where carve=1 and path='"+test.path+"'")
			must(t, err)
			guid := rows[0][0]
			wantEqual(t, "row", fmt.Sprint(rows[0][1:]), "[SCHEDULED -1 1]")
			must(t, a.RunCarves(t.Context()))
			start, file := uploaded(t, server)
			wantEqual(t, "start", start, carveStart{(int64(len(file)) + 999) / 1000, 1000, int64(len(file)), guid, start.RequestID})
			_, rows, err = a.Query(t.Context(), "select status, size, sha256 from carves where carve_guid='"+guid+"'")
			must(t, err)
			wantEqual(t, "row afterwards", fmt.Sprint(rows[0]), fmt.Sprintf("[SUCCESS %d %s]", len(file), contentHash("sha256", file)))
			if test.zstd == "true" {
				decoder, err := zstd.NewReader(nil)
				must(t, err)
				defer decoder.Close()
				file, err = decoder.DecodeAll(file, nil)
				must(t, err)
			}
			archive := tar.NewReader(bytes.NewReader(file))
			header, err := archive.Next()
			must(t, err)
			wantEqual(t, "member", header.Name, fmt.Sprintf(test.member, guid))
			wantEqual(t, "format", header.Format, tar.FormatPAX)
			got, err := io.ReadAll(archive)
			must(t, err)
			wantEqual(t, "content", string(got), string(content))
		})
	}
}

func TestCarvesThatAPatternAsksFor(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	for sql, want := range map[string]int{
		"select * from carves where carve=1 and path like '/tmp/%%'":                  1, // of two files
		"select * from carves where carve=1 and path in ('/etc/hosts','/etc/passwd')": 2,
		"select * from carves where carve=1 and path='/does_not_exist'":               0,
		"select * from carves where carve=1":                                          0,
	} {
		_, rows, err := a.Query(t.Context(), sql)
		must(t, err)
		wantEqual(t, sql, len(rows), want)
	}
}

func TestWhatTheCarverMakesOfAnAnswer(t *testing.T) {
	block := func(n int, bad answer) func(request) answer {
		return func(r request) answer {
			if strings.HasPrefix(r.body, fmt.Sprintf(`{"block_id":%d,`, n)) {
				return bad
			}
			return answer{body: `{}`}
		}
	}
	html := answer{status: 500, body: "<html>"}
	for name, test := range map[string]struct {
		version      Version
		start, block func(request) answer
		starts       int
		blocks       int
		status       string
	}{
		"errors in a block's answer count for nothing":    {Version523, nil, block(1, answer{status: 500, body: `{"error":"no","node_invalid":true}`}), 1, 4, "SUCCESS"},
		"an empty answer is success":                      {Version523, nil, block(1, answer{status: 500}), 1, 4, "SUCCESS"},
		"three refusals of a block end it":                {Version522, nil, block(1, html), 1, 4, "DATA POST FAILED"},
		"a block that was refused is skipped before 5.22": {Version520, nil, block(1, html), 1, 4, "SUCCESS"},
		"an answer without a session is not asked again":  {Version523, once(answer{body: `{"success":true}`}), nil, 1, 0, "DATA POST FAILED"},
		"a start that is refused is tried three times":    {Version523, func(request) answer { return html }, nil, 3, 0, "DATA POST FAILED"},
		"once before 5.22":                                {Version520, func(request) answer { return html }, nil, 1, 0, "DATA POST FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReference(t)
			a, _ := server.agent(t, func(o *Options) {
				o.Version = test.version
				o.Files = map[string][]byte{"/f": bytes.Repeat([]byte("x"), 10)}
				o.Flags = map[string]string{"carver_block_size": "900"}
			})
			server.on("/start_uploads", test.start)
			server.on("/upload_blocks", test.block)
			_, _, err := a.Query(t.Context(), "select * from carves where carve=1 and path='/f'")
			must(t, err)
			_ = a.RunCarves(t.Context())
			_, rows, err := a.Query(t.Context(), "select status from carves")
			must(t, err)
			wantEqual(t, "status", rows[0][0], test.status)
			wantEqual(t, "starts", len(server.seen("/start_uploads")), test.starts)
			wantEqual(t, "blocks", len(server.seen("/upload_blocks")), test.blocks)
			wantEqual(t, "the key is kept", a.NodeKey() != "", true)
		})
	}
}

func TestAnInterruptedCarveIsNotResumed(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	_, _, err := a.Query(t.Context(), "select * from carves where carve=1 and path='/etc/hosts'")
	must(t, err)
	a.opt.Chaos.Crash = func(step Step) bool { return step == StepCarveStarted }
	if err := a.RunCarves(t.Context()); !errors.Is(err, ErrCrashed) {
		t.Fatalf("got %v", err)
	}
	a.opt.Chaos.Crash = nil
	a.Restart()
	must(t, a.RunCarves(t.Context()))
	wantEqual(t, "blocks", len(server.seen("/upload_blocks")), 0)
	_, rows, err := a.Query(t.Context(), "select status from carves")
	must(t, err)
	wantEqual(t, "status", rows[0][0], "PENDING")
}
