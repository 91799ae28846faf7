package agentapi

import (
	"bufio"
	"bytes"
	"io"
	"os"

	"muster/server/fault"
)

// spoolMemory is how much of a body waits in memory before it goes to a file.
const spoolMemory = 1 << 20

// spool keeps bytes until their sender is known: agents before 5.23 name
// themselves after their data.
type spool struct {
	dir    string
	memory bytes.Buffer
	file   *os.File
}

// Write appends p, to a file once memory is full.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "muster-log-*")
		if err != nil {
			return 0, spoolFault(err)
		}
		s.file = file
		_ = os.Remove(file.Name()) // gone with the process, whatever happens
	}
	n, err := s.file.Write(p)
	return n, spoolFault(err)
}

// replay returns a reader of everything written.
func (s *spool) replay() (*bufio.Reader, error) {
	if s.file == nil {
		return bufio.NewReader(&s.memory), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(io.MultiReader(&s.memory, s.file), 64<<10), nil
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}

// spoolFault makes a full disk our failure, not the body's: the agent keeps its data.
func spoolFault(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(err, fault.Busy, "no room to take the body")
}
