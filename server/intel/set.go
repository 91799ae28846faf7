package intel

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"

	"muster/server/indicator"
)

// set is what rows are checked against: everything that was there when all was read,
// and what changed since. It never changes itself.
type set struct {
	base, late *tables
	replaced   map[int64]struct{} // ids of base that late knows better, or that are gone
}

// tables find the indicators that a value is. Each leads to the first of those that
// have the value; number 0 is none.
type tables struct {
	entries []entry // from 1 on
	threats []string
	feeds   []string

	md5       map[[16]byte]int32
	sha1      map[[20]byte]int32
	sha256    map[[32]byte]int32
	addresses map[netip.Addr]int32
	networks  *bart.Table[int32]
	domains   map[string]int32
	urls      map[string]int32
	paths     map[string]int32
	words     map[word]int32 // entered as hashes, which they cannot be
}

type word struct {
	of   uint8
	text string
}

// entry is an indicator without its value.
type entry struct {
	id, expires          int64
	threat, feed         uint32
	next                 int32 // of the same value
	of                   uint8 // its type's place among Types
	severity, confidence uint8
}

// record is an indicator as it is read for the memory.
type record struct {
	ID, Expires                         int64
	Type, Value, Threat, Severity, Feed string
	Confidence                          int64
	Deleted                             bool
}

// builder makes tables.
type builder struct {
	t       *tables
	threats map[string]uint32
	feeds   map[string]uint32
	texts   arena
}

func newBuilder(expected map[string]int) *builder {
	total := 0
	for _, n := range expected {
		total += n
	}
	t := &tables{
		entries: make([]entry, 1, total+1), networks: &bart.Table[int32]{},
		md5: make(map[[16]byte]int32, expected["md5"]), sha1: make(map[[20]byte]int32, expected["sha1"]),
		sha256: make(map[[32]byte]int32, expected["sha256"]), addresses: make(map[netip.Addr]int32, expected["remote_address"]),
		domains: make(map[string]int32, expected["domain_name"]), urls: make(map[string]int32, expected["url"]),
		paths: make(map[string]int32, expected["path"]), words: map[word]int32{},
	}
	return &builder{t: t, threats: map[string]uint32{}, feeds: map[string]uint32{}}
}

// add takes an indicator, whose texts it copies.
func (b *builder) add(r record) {
	of := slices.Index(Types(), indicator.Type(r.Type))
	if of < 0 {
		return
	}
	b.t.entries = append(b.t.entries, entry{
		id: r.ID, expires: r.Expires, of: uint8(of), //nolint:gosec // there are seven
		threat: b.number(b.threats, &b.t.threats, r.Threat), feed: b.number(b.feeds, &b.t.feeds, r.Feed),
		severity: uint8(max(slices.Index(Severities(), r.Severity), 0)), confidence: uint8(min(max(r.Confidence, 0), 100)), //nolint:gosec // small
	})
	b.place(uint8(of), r.Value, int32(len(b.t.entries)-1)) //nolint:gosec // at most two millions
}

// place files the entry under its value, before those that are there.
func (b *builder) place(of uint8, value string, n int32) {
	next := &b.t.entries[n].next
	switch Types()[of] {
	case MD5:
		if key := [16]byte{}; unhex(key[:], value) {
			*next, b.t.md5[key] = b.t.md5[key], n
			return
		}
	case SHA1:
		if key := [20]byte{}; unhex(key[:], value) {
			*next, b.t.sha1[key] = b.t.sha1[key], n
			return
		}
	case SHA256:
		if key := [32]byte{}; unhex(key[:], value) {
			*next, b.t.sha256[key] = b.t.sha256[key], n
			return
		}
	case Domain:
		b.file(b.t.domains, value, n)
		return
	case URL:
		b.file(b.t.urls, value, n)
		return
	case Path:
		b.file(b.t.paths, value, n)
		return
	case Address:
		b.placeAddress(value, n)
		return
	}
	key := word{of, b.texts.keep(value)}
	*next, b.t.words[key] = b.t.words[key], n
}

func (b *builder) placeAddress(value string, n int32) {
	next := &b.t.entries[n].next
	if network, found := indicator.Network(value); found {
		*next, _ = b.t.networks.Get(network)
		b.t.networks.Insert(network, n)
	} else if address, found := indicator.Address(value); found {
		*next, b.t.addresses[address] = b.t.addresses[address], n
	}
}

func (b *builder) file(in map[string]int32, value string, n int32) {
	first, there := in[value]
	b.t.entries[n].next = first
	if there {
		in[value] = n // the key stays the text that is there
		return
	}
	in[b.texts.keep(value)] = n
}

func (b *builder) number(of map[string]uint32, texts *[]string, text string) uint32 {
	n, known := of[text]
	if !known {
		n = uint32(len(*texts)) //nolint:gosec // at most two millions
		kept := b.texts.keep(text)
		of[kept], *texts = n, append(*texts, kept)
	}
	return n
}

// indicator is an entry of some value, written out.
func (t *tables) indicator(e *entry, value string) Indicator {
	i := Indicator{ID: e.id, Feed: t.feeds[e.feed], NewIndicator: NewIndicator{
		Type: Types()[e.of], Value: value, ThreatName: t.threats[e.threat], Severity: Severities()[e.severity], Confidence: int(e.confidence),
	}}
	if e.expires > 0 {
		i.Expires = time.UnixMicro(e.expires).UTC()
	}
	return i
}

// unhex reads the hexadecimal digits of a whole key, in any case.
func unhex(key []byte, digits string) bool {
	if len(digits) != hex.EncodedLen(len(key)) {
		return false
	}
	for i := range key {
		high, low := nibble(digits[2*i]), nibble(digits[2*i+1])
		if high < 0 || low < 0 {
			return false
		}
		key[i] = byte(high<<4 | low)
	}
	return true
}

func nibble(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// arena keeps many small texts in few pieces of memory.
type arena struct{ free []byte }

const arenaPiece = 64 << 10

func (a *arena) keep(text string) string {
	if len(text) > cap(a.free)-len(a.free) {
		a.free = make([]byte, 0, max(arenaPiece, len(text)))
	}
	from := len(a.free)
	a.free = append(a.free, text...)
	return asText(a.free[from:])
}
