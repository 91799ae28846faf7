package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"muster/server/fault"
)

// maxKeyFile bounds what is read of a key file; a key has 44 characters.
const maxKeyFile = 4 << 10

// Open returns a box for the key in keyFile, and makes the file with a new key,
// for the owner alone, if there is none. Of several processes that find none, all
// end with the same key. A file that is there and holds no key is an error and is
// not replaced: what was sealed could never be opened again.
func Open(keyFile string) (*Box, error) {
	key, err := readKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(keyFile); err == nil {
			key, err = readKey(keyFile)
		}
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "The file with the encryption key cannot be used")
	}
	return New(key)
}

func readKey(keyFile string) ([]byte, error) {
	file, err := os.Open(keyFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("what %s holds %w", keyFile, err)
	}
	return key, nil
}

// makeKey writes a new key under another name and then gives it the right one,
// which fails if somebody else was first: theirs counts then.
func makeKey(keyFile string) (err error) {
	folder := filepath.Dir(keyFile)
	file, err := os.CreateTemp(folder, "."+filepath.Base(keyFile)+"-*") // made with 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, text := newKey()
	if _, err = file.WriteString(text + "\n"); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Link(file.Name(), keyFile); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, syncFolder(folder))
}

// syncFolder makes the new name last over a power cut.
func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
