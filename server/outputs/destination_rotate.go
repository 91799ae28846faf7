package outputs

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	asideTime = "20060102T150405.000000Z"
	packed    = ".gz"
	packing   = ".gz.part"
)

// putAside gives the file another name, which says when, and sees to those that were
// put aside before.
func (f *fileSender) putAside() error {
	name := f.aside(f.now().UTC().Format(asideTime))
	if _, err := f.root.Lstat(name); err == nil {
		return fmt.Errorf("there is a file %s already", filepath.Base(name))
	}
	if err := f.root.Rename(f.s.name, name); err != nil {
		return err
	}
	f.untidy = true
	return syncFolder(f.root, filepath.Dir(name))
}

// tidied has files that were put aside seen to, beside sending. It returns what went
// wrong with that the last time, once.
func (f *fileSender) tidied() (err error) {
	if f.tidying != nil {
		select {
		case err = <-f.tidying:
			f.tidying = nil
		default:
			return nil
		}
	}
	if f.untidy && err == nil {
		ended := make(chan error, 1)
		f.tidying, f.untidy = ended, false
		go func() { ended <- f.tidy() }()
	}
	return err
}

// aside is the name of the file when it was put aside at a time.
func (f *fileSender) aside(at string) string {
	extension := filepath.Ext(f.s.name)
	return strings.TrimSuffix(f.s.name, extension) + "-" + at + extension
}

// tidy packs files that were put aside, where that is wanted, and deletes the oldest
// of those that are too many. It goes on beside sending.
func (f *fileSender) tidy() error {
	names, err := f.setAside()
	if err != nil {
		return err
	}
	if *f.s.Keep > 0 {
		for len(names) > *f.s.Keep {
			if err := f.root.Remove(names[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			names = names[1:]
		}
	}
	for _, name := range names {
		if f.s.Gzip && !strings.HasSuffix(name, packed) {
			if err := f.pack(name); err != nil && f.ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// setAside lists the files that were put aside, the oldest first.
func (f *fileSender) setAside() ([]string, error) {
	folder := filepath.Dir(f.s.name)
	entries, err := fs.ReadDir(f.root.FS(), filepath.ToSlash(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the folder is about to be made
	}
	if err != nil {
		return nil, err
	}
	const mark = "\x00"
	pattern := strings.Replace(regexp.QuoteMeta(filepath.Base(f.aside(mark))), mark, `\d{8}T\d{6}\.\d{6}Z`, 1)
	ours, err := regexp.Compile("^" + pattern + `(\.gz)?$`)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && ours.MatchString(e.Name()) {
			names = append(names, filepath.Join(folder, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

// pack replaces a file by its packed form.
func (f *fileSender) pack(name string) error {
	from, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := f.root.OpenFile(name+packing, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	zip := gzip.NewWriter(to)
	_, err = io.Copy(zip, stoppable{f.ctx, from})
	if err == nil {
		err = errors.Join(zip.Close(), to.Sync())
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(err, f.root.Remove(name+packing))
	}
	if err := f.root.Rename(name+packing, name+packed); err != nil {
		return err
	}
	return f.root.Remove(name)
}

// stoppable is a reader that ends with a context.
type stoppable struct {
	ctx context.Context
	io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}
