package carves

import (
	"bytes"
	"io"
	"strings"
)

// Format is what a carve's first bytes say it is.
type Format string

// The formats. osquery sends pax tars, packed by zstd when so configured.
const (
	FormatTar     Format = "tar"
	FormatZstd    Format = "zstd"
	FormatEmpty   Format = "empty"   // no bytes at all
	FormatUnknown Format = "unknown" // kept as it came
)

func (f Format) extension() string {
	switch f {
	case FormatTar:
		return ".tar"
	case FormatZstd:
		return ".zst"
	}
	return ".bin"
}

// problem is what people are told of a completed carve in this format.
func (f Format) problem() string {
	if f == FormatUnknown {
		return "The file is neither a tar nor a zstd archive; it is kept as it came"
	}
	return ""
}

var (
	zstdMagic = []byte{0x28, 0xB5, 0x2F, 0xFD}
	tarMagic  = []byte("ustar") // pax: at 257
)

// detect names the format of a file of that size.
func detect(file io.ReaderAt, size int64) (Format, error) {
	head := make([]byte, 1024)
	n, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	head = head[:n]
	switch {
	case size == 0:
		return FormatEmpty, nil
	case bytes.HasPrefix(head, zstdMagic):
		return FormatZstd, nil
	case n >= 512 && bytes.HasPrefix(head[257:], tarMagic):
		return FormatTar, nil
	case n == 1024 && len(bytes.Trim(head, "\x00")) == 0: // two zero blocks: a tar without members
		return FormatTar, nil
	}
	return FormatUnknown, nil
}

// archiveName is the file name that downloads are offered under (ESP API,
// section 1.5 of its reference): session and guid in one.
func archiveName(sessionID, guid string, format Format) string {
	return sessionID + sanitize(guid) + format.extension()
}

// sanitize keeps of a guid what may stand in a file name and a header.
func sanitize(guid string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		}
		return '_'
	}, guid)
	return safe[:min(len(safe), 64)]
}
