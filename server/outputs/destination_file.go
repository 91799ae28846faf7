package outputs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/server/fault"
)

const (
	maxFileMiB   = 64 << 10
	maxFileHours = 31 * 24
	maxFilesKept = 10_000
)

// fileSettings are those of a file that lines are added to.
type fileSettings struct {
	Path   string `json:"path"`          // below the folder of the options, or absolute in one that they allow
	MiB    int64  `json:"max_size_mib"`  // a file that would become larger is put aside (100)
	Hours  int64  `json:"max_age_hours"` // and one that holds lines of another stretch of so many hours of UTC (24)
	Keep   *int   `json:"keep"`          // files that were put aside (10); 0: all
	Gzip   bool   `json:"gzip"`          // packs files that were put aside
	folder string
	name   string // in folder
}

func (s *fileSettings) check(o DestinationOptions) error {
	if s.MiB == 0 {
		s.MiB = 100
	}
	if s.Hours == 0 {
		s.Hours = 24
	}
	if s.Keep == nil {
		some := 10
		s.Keep = &some
	}
	switch {
	case s.MiB < 1 || s.MiB > maxFileMiB:
		return fault.New(fault.Unprocessable, "max_size_mib is between 1 and %d", maxFileMiB)
	case s.Hours < 1 || s.Hours > maxFileHours:
		return fault.New(fault.Unprocessable, "max_age_hours is between 1 and %d", maxFileHours)
	case *s.Keep < 0 || *s.Keep > maxFilesKept:
		return fault.New(fault.Unprocessable, "keep is between 0, for all, and %d", maxFilesKept)
	case s.Path == "" || strings.ContainsRune(s.Path, 0) || strings.HasSuffix(s.Path, "/") || len(s.Path) > 1024:
		return fault.New(fault.Unprocessable, "path names a file")
	}
	return s.locate(o)
}

// locate finds the folder that the file has to stay in.
func (s *fileSettings) locate(o DestinationOptions) error {
	if !filepath.IsAbs(s.Path) {
		if !filepath.IsLocal(s.Path) || filepath.Clean(s.Path) == "." {
			return fault.New(fault.Unprocessable, "path names a file below the folder of destinations")
		}
		s.folder, s.name = o.Folder, filepath.Clean(s.Path)
		return nil
	}
	for _, folder := range o.Paths {
		if name, err := filepath.Rel(folder, s.Path); err == nil && filepath.IsLocal(name) && name != "." {
			s.folder, s.name = folder, name
			return nil
		}
	}
	return fault.New(fault.Unprocessable, "path is absolute, and in none of the folders that the setting destination_paths allows")
}

func (s *fileSettings) secrets() map[string]*string { return nil }
func (s *fileSettings) receiver() string            { return s.Path }
func (s *fileSettings) batching() batching          { return batching{} }

func (s *fileSettings) open(o DestinationOptions) (sender, error) {
	if err := s.locate(o); err != nil { // the server may have been started with other settings
		return nil, err
	}
	if s.folder == o.Folder {
		if err := os.MkdirAll(s.folder, 0o750); err != nil {
			return nil, fileFault(err, s.Path)
		}
	}
	root, err := os.OpenRoot(s.folder)
	if err != nil {
		return nil, fileFault(err, s.Path)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &fileSender{s: *s, root: root, now: o.Now, ctx: ctx, stop: stop, untidy: true}, nil
}

// fileFault says what the system does not like.
func fileFault(err error, path string) error {
	reason := err
	var at *fs.PathError
	if errors.As(err, &at) {
		reason = at.Err
	}
	return fault.Wrap(err, fault.Unprocessable, "The file %s cannot be written: %v", path, reason)
}

// fileSender adds lines to a file. Others may read, move or delete it meanwhile.
type fileSender struct {
	s    fileSettings
	root *os.Root
	now  func() time.Time
	file *os.File // nil: not open

	ctx     context.Context // of what is done beside sending: see tidied
	stop    context.CancelFunc
	tidying <-chan error // receives when that is done; nil: nothing is
	untidy  bool         // there may be files to see to
}

func (f *fileSender) close() {
	f.stop()
	if f.tidying != nil {
		if err := <-f.tidying; err != nil {
			f.untidy = true // whoever opens the folder next tidies again
		}
		f.tidying = nil
	}
	f.shut()
	_ = f.root.Close()
}

func (f *fileSender) shut() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}

// send returns when the lines are on the disk.
func (f *fileSender) send(_ context.Context, b batch) error {
	var text bytes.Buffer
	for _, l := range b.lines {
		text.Write(l.text)
		text.WriteByte('\n')
	}
	if err := errors.Join(f.tidied(), f.ready(int64(text.Len()))); err != nil {
		f.shut()
		return fileFault(err, f.s.Path)
	}
	if err := f.write(text.Bytes()); err != nil {
		f.shut()
		return fileFault(err, f.s.Path)
	}
	return nil
}

// write adds text as a whole or not at all.
func (f *fileSender) write(text []byte) error {
	size, err := f.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err = f.file.Write(text); err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return errors.Join(err, f.file.Truncate(size))
	}
	return nil
}

// ready sees to it that the file is open, is the one of that name, and has room.
func (f *fileSender) ready(more int64) error {
	info, err := f.root.Stat(f.s.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	if err == nil && f.due(info, more) {
		f.shut()
		if err := f.putAside(); err != nil {
			return err
		}
		info = nil
	}
	if f.file != nil && info != nil {
		if ours, err := f.file.Stat(); err == nil && os.SameFile(ours, info) {
			return nil
		}
	}
	f.shut()
	return f.reopen()
}

// due says whether a file is to be put aside before more is added to it.
func (f *fileSender) due(info fs.FileInfo, more int64) bool {
	stretch := func(t time.Time) int64 { return t.Unix() / (f.s.Hours * 3600) }
	return info.Size() > 0 && (info.Size()+more > f.s.MiB<<20 || stretch(info.ModTime()) < stretch(f.now()))
}

// reopen opens or makes the file. A line that was cut off when the machine stopped is
// ended: what it belongs to comes again.
func (f *fileSender) reopen() error {
	folder := filepath.Dir(f.s.name)
	if err := f.root.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	file, err := f.root.OpenFile(f.s.name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	f.file = file
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return syncFolder(f.root, folder)
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.WriteString("\n")
	return err
}

// syncFolder makes names in a folder last over a power cut.
func syncFolder(root *os.Root, name string) error {
	folder, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
