package yara

import (
	"context"
	"slices"
	"sync"
	"time"

	"muster/server/fault"
	"muster/server/hosts"
)

// snapshot is every file at one time. It does not change but for its cache of sets.
type snapshot struct {
	files   []held // by name
	byToken map[string]int

	mu    sync.Mutex
	sets  map[string][]byte
	bytes int
}

// held is a file in memory. text is shared: nobody changes it.
type held struct {
	File    // without content
	text    []byte
	outline outline
}

// entitled reports whether a host gets the file: it shares a tag, or the file has none.
func (f held) entitled(host *hosts.Host) bool {
	return len(f.Tags) == 0 || slices.ContainsFunc(f.Tags, func(t hosts.Tag) bool { return slices.Contains(host.TagIDs, t.ID) })
}

// refresh reads the files, and the contents of those whose digest is new.
func (s *Store) refresh(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.read(ctx)
}

// read is refresh for who holds loading.
func (s *Store) read(ctx context.Context) error {
	s.looked = s.now()
	files, err := readFiles(ctx, s.db, "")
	if err != nil {
		return err
	}
	known := map[string]held{}
	for _, f := range s.current.Load().files {
		known[f.SHA256] = f
	}
	next := &snapshot{byToken: map[string]int{}, sets: map[string][]byte{}}
	for _, f := range files {
		h, found := known[f.SHA256]
		if !found {
			contents, err := readContents(ctx, s.db, []int64{f.ID})
			if err != nil {
				return err
			}
			if len(contents) == 0 { // deleted meanwhile
				continue
			}
			h.text, h.outline = []byte(contents[0].Content), outlineOf(contents[0].Content)
			f.SHA256 = contents[0].SHA256
		}
		h.File = f
		next.byToken[f.Token] = len(next.files)
		next.files = append(next.files, h)
	}
	s.current.Store(next)
	return nil
}

// ForHost returns the files that a host gets, by name, without contents. It costs
// no SQL.
func (s *Store) ForHost(host *hosts.Host) []File {
	files := []File{}
	for _, f := range s.current.Load().files {
		if f.entitled(host) {
			files = append(files, f.File)
		}
	}
	return files
}

// impatience is how long ago the files must have been read for an unknown token to
// be looked up: another replica may have made it, and the hint may not be here yet.
const impatience = time.Second

// lookAgain reads the files for an unknown token, which anybody can send: once in
// that time, however many ask and however the reading goes. That a client goes away
// does not end it, since others wait for the same.
func (s *Store) lookAgain(ctx context.Context) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.now().Sub(s.looked) <= impatience {
		return
	}
	ctx = context.WithoutCancel(ctx)
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s.complain(ctx, s.read(bounded))
}

// Fetch returns the text of the file with this token and name. With a host, only if
// that host gets the file; without, the token is enough. The text must not be
// changed. Faults: NotFound, for all of that alike.
func (s *Store) Fetch(ctx context.Context, token, name string, host *hosts.Host) ([]byte, error) {
	now := s.current.Load()
	at, found := now.byToken[token]
	if !found {
		s.lookAgain(ctx)
		now = s.current.Load()
		at, found = now.byToken[token]
	}
	if !found || now.files[at].Name != name || (host != nil && !now.files[at].entitled(host)) {
		return nil, fault.New(fault.NotFound, "there are no such rules")
	}
	return now.files[at].text, nil
}
