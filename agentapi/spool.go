package agentapi

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"sync/atomic"

	"muster/server/fault"
)

// spoolMemory is how much of a body waits in memory before it goes to a file.
const spoolMemory = 1 << 20

// spool keeps bytes until their sender is known: agents before 5.23 name
// themselves after their data.
type spool struct {
	dir    string
	room   *atomic.Int64 // what all spools hold on disk
	memory bytes.Buffer
	file   *os.File
	size   int64 // of the file
}

// maxSpooled bounds what senders that nobody knows yet may put on our disk.
const maxSpooled = 4 << 30

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
	if s.room.Add(int64(len(p))) > maxSpooled {
		s.room.Add(-int64(len(p)))
		return 0, fault.New(fault.Busy, "no room to take the body")
	}
	s.size += int64(len(p))
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
		s.room.Add(-s.size)
	}
}

// spoolFault makes a full disk our failure, not the body's: the agent keeps its data.
func spoolFault(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(err, fault.Busy, "no room to take the body")
}
