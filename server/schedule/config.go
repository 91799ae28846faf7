package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"

	"muster/server/fault"
	"muster/server/hosts"
)

// Config is what an agent gets, byte for byte. It is shared: do not modify it.
type Config struct {
	// Plain is for agents that know no etag: a compact JSON object.
	Plain []byte
	// WithETag is Plain with the ETag as its last top-level member. Last, because
	// the agent takes it out again and would move the last member into a gap.
	WithETag []byte
	// ETag stands for exactly these Plain bytes.
	ETag string
}

func newConfig(plain []byte) Config {
	sum := sha256.Sum256(plain)
	c := Config{Plain: plain, ETag: hex.EncodeToString(sum[:16])}
	c.WithETag = make([]byte, 0, len(plain)+etagBytes)
	c.WithETag = append(c.WithETag, plain[:len(plain)-1]...)
	c.WithETag = append(c.WithETag, `,"etag":"`+c.ETag+`"}`...)
	return c
}

// etagBytes is what the etag adds to a config.
const etagBytes = len(`,"etag":"00000000000000000000000000000000"`)

// ConfigFor returns the config of a host: options, the active config of its platform,
// and the packs and queries that share a tag with it and can run there (esp-api 2.5).
// Hosts that these select the same for get the same bytes, in every replica.
//
// It reads memory only, and allocates nothing once a host of the group has asked.
// The config is valid and never empty: when what is stored cannot be assembled, it is
// what the group got last, or what is left without the parts that are in the way,
// and an error is logged. Faults: Busy before Load.
func (s *Store) ConfigFor(_ context.Context, h *hosts.Host) (Config, error) {
	now := s.current.Load()
	if now == nil {
		return Config{}, errNotLoaded
	}
	return now.renderedFor(h).Config, nil
}

// renderedFor is what the group of a host gets.
func (s *snapshot) renderedFor(h *hosts.Host) *rendered {
	var room [256]byte
	c := s.configFor(family(h.Platform), architecture(h.Arch))
	key := s.appendKey(room[:0], c, h)
	if found := s.cache.find(key); found != nil {
		return found
	}
	return s.first(string(key), c, h)
}

// first is for the first host of a group. It is a function of its own so that the
// key of the usual way stays off the heap.
func (s *snapshot) first(key string, c *platformConfig, h *hosts.Host) *rendered {
	return s.cache.get(key, func() *rendered { return s.render(key, c, h) })
}

var errNotLoaded = fault.New(fault.Busy, "The configuration is not loaded yet")

// render assembles the config of a group, h being one of its hosts.
func (s *snapshot) render(key string, c *platformConfig, h *hosts.Host) *rendered {
	platform := family(h.Platform)
	chosen := s.choose(platform, h.TagIDs)
	plain := c.assemble(chosen)
	err := validForAll(plain)
	if err == nil {
		return newRendered(plain, true)
	}
	log := s.log.With("platform", platform, "arch", c.row.Arch, "tags", h.Tags, "error", err)
	if last := s.cache.lastGood[key]; last != nil {
		log.Error("a config cannot be used; its hosts keep the last good one")
		return newRendered(last, false)
	}
	for len(chosen.packs)+len(chosen.queries) > 0 {
		chosen.leaveOut(log)
		if plain = c.assemble(chosen); validForAll(plain) == nil {
			return newRendered(plain, false)
		}
	}
	log.Error("a config cannot be used even without packs; the default that ships is served")
	return newRendered(newPlatformConfig(c.row, s.shipped[platform].document, additions{signatureURLs: s.signatures}).assemble(selection{}), false)
}

// validForAll leaves room for the etag in the size.
func validForAll(plain []byte) error {
	if err := Validate(plain); err != nil {
		return err
	}
	if len(plain)+etagBytes > MaxSize {
		return fault.New(fault.Unprocessable, "the config leaves no room for its etag")
	}
	return nil
}

// leaveOut drops the largest part of a selection that is not empty: the same one
// in every replica.
func (chosen *selection) leaveOut(log *slog.Logger) {
	size, pack, query := -1, -1, -1
	for i, p := range chosen.packs {
		if p.size > size {
			size, pack = p.size, i
		}
	}
	for i, q := range chosen.queries {
		if len(q.content.json) > size {
			size, query = len(q.content.json), i
		}
	}
	if query >= 0 {
		log.Error("a config cannot be used; a query is left out", "query", chosen.queries[query].Name)
		chosen.queries = slices.Delete(chosen.queries, query, query+1)
		return
	}
	log.Error("a config cannot be used; a pack is left out", "pack", chosen.packs[pack].Name)
	chosen.packs = slices.Delete(chosen.packs, pack, pack+1)
}
