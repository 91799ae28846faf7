package carves

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"muster/server/fault"
)

const (
	maxMembers    = 10_000
	maxMemberName = 4096     // bytes; osquery's own limit of a path
	maxUnpacked   = 64 << 30 // bytes that are unpacked to find members, never stored
	maxWindow     = 64 << 20 // bytes of memory to unpack; osquery's level 1 uses far less
)

// Member is one file of a carve.
type Member struct {
	Name    string // below the agent's temporary folder: etc/hosts, C/Users/...
	Size    int64  // bytes
	Mode    fs.FileMode
	ModTime time.Time // zero when the archive holds none that a calendar knows
}

// Listing is what a carve holds.
type Listing struct {
	Members   []Member
	Truncated bool   // there are more: only the first 10,000 are listed
	Problem   string // the archive is damaged after these members, and how
}

// ErrTooMuch is the error of an archive that unpacks to more than 64 GiB.
var ErrTooMuch = errors.New("the archive unpacks to too much")

var errNoArchive = fault.New(fault.Unprocessable, "The carve is neither a tar nor a zstd archive")

// Members lists what a completed carve holds. Nothing is written anywhere. Large
// compressed carves take a while: ctx ends it. Faults: as Open, and Unprocessable
// when the carve is no archive.
func (s *Store) Members(ctx context.Context, sessionID string) (Listing, error) {
	file, carve, err := s.Open(ctx, sessionID)
	if err != nil {
		return Listing{}, err
	}
	defer func() { _ = file.Close() }()
	listing, err := list(ctx, file, carve.Format, carve.GUID)
	if ctx.Err() != nil {
		return Listing{}, fault.Wrap(ctx.Err(), fault.Busy, "The carve could not be read to its end")
	}
	return listing, err
}

func list(ctx context.Context, file io.ReadSeeker, format Format, guid string) (listing Listing, err error) {
	if format == FormatUnknown {
		return Listing{}, errNoArchive
	}
	listing.Problem, err = Walk(ctx, file, format, guid, func(m Member, _ io.Reader) error {
		if len(listing.Members) == maxMembers {
			return ErrTooMuch
		}
		listing.Members = append(listing.Members, m)
		return nil
	})
	if errors.Is(err, ErrTooMuch) {
		listing.Truncated, err = true, nil
	}
	return listing, err
}

// Walk calls visit with every member of an archive and its content, which is good
// until visit returns and need not be read. What is no archive is one member
// without a name. Nothing is written anywhere.
//
// problem says how an archive is damaged, after what was visited. The error is that
// of visit, of ctx, or ErrTooMuch.
func Walk(ctx context.Context, file io.ReadSeeker, format Format, guid string, visit func(Member, io.Reader) error) (problem string, err error) {
	left := int64(maxUnpacked)
	plain := seekable{bounded{ctx, file, &left}, file}
	switch format {
	case FormatEmpty:
		return "", nil
	case FormatTar: // contents that nobody reads are skipped by seeking
		return walkTar(plain, guid, visit)
	case FormatZstd:
		unpacker, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return err.Error(), nil
		}
		defer unpacker.Close()
		return walkTar(bounded{ctx, unpacker, &left}, guid, visit)
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err.Error(), nil
	}
	return "", visit(Member{Size: size}, plain)
}

func walkTar(from io.Reader, guid string, visit func(Member, io.Reader) error) (problem string, err error) {
	archive := tar.NewReader(from)
	for {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return "", nil
		case errors.Is(err, ErrTooMuch), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return "", err
		case err != nil && !errors.Is(err, tar.ErrInsecurePath): // names are only shown
			return err.Error(), nil
		case header.Typeflag == tar.TypeXGlobalHeader:
			continue
		}
		err = visit(Member{
			Name: memberName(header.Name, guid), Size: header.Size,
			Mode: header.FileInfo().Mode(), ModTime: calendar(header.ModTime),
		}, archive)
		if err != nil {
			return "", err
		}
	}
}

// memberName takes away the agent's temporary folder, osquery_carve_GUID, and
// what is above it (section 5.5 of the TLS reference).
func memberName(name, guid string) string {
	folder := "osquery_carve_" + guid
	if at := strings.Index(name, folder); at >= 0 {
		if below := name[at+len(folder):]; below != "" && (below[0] == '/' || below[0] == '\\') {
			name = below[1:]
		}
	}
	// A copy: a name of a million bytes is not kept for the sake of its beginning.
	return strings.ToValidUTF8(strings.Clone(name[:min(len(name), maxMemberName)]), "\uFFFD")
}

// calendar drops times that JSON cannot hold.
func calendar(t time.Time) time.Time {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// bounded reads until ctx ends or left bytes were read.
type bounded struct {
	ctx  context.Context
	from io.Reader
	left *int64
}

func (b bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if *b.left <= 0 {
		return 0, ErrTooMuch
	}
	n, err := b.from.Read(p[:min(int64(len(p)), *b.left)])
	*b.left -= int64(n)
	return n, err
}

// seekable is bounded where what is not needed can be skipped.
type seekable struct {
	bounded
	io.Seeker
}
