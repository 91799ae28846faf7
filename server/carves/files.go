package carves

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"muster/server/fault"
)

// partExtension is that of a carve whose blocks are still arriving.
const partExtension = ".part"

var partName = regexp.MustCompile(`^([1-9][0-9]{0,17})\.part$`)

// path is where a carve's bytes are: made of its id alone, never of anything
// that an agent wrote.
func (s *Store) path(id int64, extension string) string {
	return filepath.Join(s.dir, strconv.FormatInt(id, 10)+extension)
}

// free is how many bytes the disk has room for, before what is under way.
func (s *Store) free() (int64, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return 0, fault.Wrap(err, fault.Busy, "The carve cannot be stored")
	}
	free, err := s.options.Free(s.dir)
	if err != nil {
		return 0, fault.Wrap(err, fault.Busy, "The free space for carves cannot be told")
	}
	return free, nil
}

// createPart makes the empty file that blocks are written into.
func (s *Store) createPart(id int64) error {
	file, err := os.OpenFile(s.path(id, partExtension), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(file.Close(), s.syncDir())
	}
	if err != nil {
		return fault.Wrap(err, fault.Busy, "The carve cannot be stored")
	}
	return nil
}

// publish gives a complete file its final name, for good.
func (s *Store) publish(id int64, extension string) error {
	err := os.Rename(s.path(id, partExtension), s.path(id, extension))
	if errors.Is(err, fs.ErrNotExist) { // another replica may have done it just now
		_, err = os.Stat(s.path(id, extension))
	}
	if err != nil {
		return err
	}
	return s.syncDir()
}

// remove removes whatever there is of a carve.
func (s *Store) remove(id int64) error {
	for _, extension := range []string{partExtension, FormatTar.extension(), FormatZstd.extension(), FormatUnknown.extension()} {
		if err := os.Remove(s.path(id, extension)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Wrap(err, fault.Internal, "The carve's file cannot be removed")
		}
	}
	return nil
}

// removeOrLog is remove where nobody waits for the outcome.
func (s *Store) removeOrLog(id int64) {
	if err := s.remove(id); err != nil {
		s.log.Error("a carve's bytes stay on disk", "carve_id", id, "error", err)
	}
}

// parts returns the ids of the carves that have a partial file.
func (s *Store) parts() ([]int64, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []int64
	for _, entry := range entries {
		if match := partName.FindStringSubmatch(entry.Name()); match != nil {
			id, err := strconv.ParseInt(match[1], 10, 64)
			if err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids, err
}

func (s *Store) syncDir() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
