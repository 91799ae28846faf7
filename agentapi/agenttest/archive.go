package agenttest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// archive makes the file that a carve uploads: a pax tar whose members are named
// as the agent's temporary copies, in zstd when carver_compression is on.
func (a *Agent) archive(c *carving) ([]byte, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	v := &view{agent: a, machine: a.machine, now: a.now(), boot: a.born.Add(-a.machine.bootedBefore)}
	for _, path := range c.Paths {
		content := v.content(path)
		header := &tar.Header{
			Name: a.copyOf(c.GUID, path), Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg,
			ModTime: v.boot.Add(123456789), Format: tar.FormatPAX, // parts of a second need a pax record
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archive %s: %w", path, err)
		}
		if _, err := writer.Write(content); err != nil {
			return nil, fmt.Errorf("archive %s: %w", path, err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if !a.flags.bool("carver_compression") {
		return packed.Bytes(), nil
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return encoder.EncodeAll(packed.Bytes(), nil), encoder.Close()
}

// copyOf is where the agent copies a file before it packs it (section 5.5).
func (a *Agent) copyOf(guid, path string) string {
	if a.machine.platform == Windows {
		return `C:\Windows\Temp\osquery_carve_` + guid + `\` + strings.Replace(path, ":", "", 1)
	}
	return "/tmp/osquery_carve_" + guid + path
}
