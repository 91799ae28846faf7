package intel

import (
	"net/netip"
	"slices"
	"strings"
	"time"
	"unsafe"

	"muster/server/condition"
	"muster/server/indicator"
)

// Hit says that a row holds an indicator. The description of the indicator and the
// times of its life but Expires are not in memory and empty.
type Hit struct {
	Indicator     Indicator
	Column, Value string // where in the row, and as it stands there
}

// watched says what to look for in a column: a bit for each of Types.
var watched = func() map[string]uint8 {
	bits := map[string]uint8{}
	for i, t := range Types() {
		for _, column := range t.Columns() {
			bits[column] |= 1 << i
		}
	}
	return bits
}()

// The bits of watched.
const (
	bitMD5 uint8 = 1 << iota
	bitSHA1
	bitSHA256
	bitDomain
	bitAddress
	bitURL
	bitPath
)

// Check returns the indicators that the row holds, in any of its columns, each once;
// nil for none, as with nearly every row, which allocates nothing. It asks nobody and
// may be called by any goroutine.
func (s *Store) Check(row *condition.Object) []Hit {
	all := s.current.Load()
	if len(all.base.entries) <= 1 && len(all.late.entries) <= 1 {
		return nil
	}
	c := s.checks.Get().(*check) //nolint:errcheck,forcetypeassert // the pool has nothing else
	c.set = all
	c.row(row)
	hits := c.hits
	c.set, c.hits = nil, nil
	s.checks.Put(c)
	return hits
}

// checkValue returns the indicators that a value is where it stands in a column of the
// type or (if it is empty) of any.
func (s *Store) checkValue(of indicator.Type, value string) []Hit {
	c := newCheck(s.o.Now)
	c.set = s.current.Load()
	for _, t := range Types() {
		if of == "" || of == t {
			c.look(string(t), value)
		}
	}
	return c.hits
}

// check is a look at one row. Its buffers are used again.
type check struct {
	set  *set
	now  func() time.Time
	hits []Hit
	buf  []byte
}

func newCheck(now func() time.Time) *check { return &check{now: now} }

func (c *check) row(row *condition.Object) {
	for i := range row.Columns() {
		if name, value, present := row.Column(i); present {
			c.look(name, value)
		}
	}
}

// look looks at one column.
func (c *check) look(column, value string) {
	bits := watched[column]
	if bits == 0 {
		return
	}
	if value = strings.TrimSpace(value); value == "" || len(value) > maxValue {
		return
	}
	at := spot{column, value}
	for _, t := range [...]*tables{c.set.late, c.set.base} {
		if len(t.entries) <= 1 {
			continue
		}
		switch {
		case bits&(bitMD5|bitSHA1|bitSHA256) != 0:
			c.hash(t, bits, at)
		case bits&(bitDomain|bitAddress) != 0:
			c.endpoint(t, bits, at)
		case bits&bitURL != 0:
			c.text(t, t.urls, at)
		case bits&bitPath != 0:
			c.text(t, t.paths, at)
		}
	}
}

// spot is a column of the row with its value.
type spot struct{ column, value string }

func (c *check) hash(t *tables, bits uint8, at spot) {
	var found int32
	of, odd := uint8(0), false
	switch bits {
	case bitMD5:
		var key [16]byte
		if odd = !unhex(key[:], at.value); !odd {
			found = t.md5[key]
		}
	case bitSHA1:
		var key [20]byte
		if of, odd = 1, !unhex(key[:], at.value); !odd {
			found = t.sha1[key]
		}
	default:
		var key [32]byte
		if of, odd = 2, !unhex(key[:], at.value); !odd {
			found = t.sha256[key]
		}
	}
	if odd && len(t.words) > 0 {
		c.buf = indicator.AppendFold(c.buf[:0], at.value)
		found = t.words[word{of, string(c.buf)}]
	}
	if found != 0 {
		c.hit(t, found, string(indicator.AppendFold(nil, at.value)), at)
	}
}

// endpoint looks for an address, or else for a name and all that it is below.
func (c *check) endpoint(t *tables, bits uint8, at spot) {
	if address, found := indicator.Address(at.value); found {
		if bits&bitAddress != 0 {
			c.address(t, address, at)
		}
		return
	}
	if bits&bitDomain == 0 || len(t.domains) == 0 {
		return
	}
	c.buf = indicator.AppendFold(c.buf[:0], strings.Trim(at.value, "."))
	name := c.buf
	end := len(name)
	for range maxLabels {
		dot := lastDot(name[:end])
		if found := t.domains[string(name[dot+1:])]; found != 0 {
			c.hit(t, found, string(name[dot+1:]), at)
		}
		if dot < 0 {
			return
		}
		end = dot
	}
}

func lastDot(name []byte) int {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			return i
		}
	}
	return -1
}

func (c *check) address(t *tables, address netip.Addr, at spot) {
	if found := t.addresses[address]; found != 0 {
		c.hit(t, found, address.String(), at)
	}
	if !t.networks.Contains(address) {
		return
	}
	for network, found := range t.networks.Supernets(netip.PrefixFrom(address, address.BitLen())) {
		c.hit(t, found, network.String(), at)
	}
}

// text looks for a whole text.
func (c *check) text(t *tables, in map[string]int32, at spot) {
	if len(in) == 0 {
		return
	}
	c.buf = indicator.AppendFold(c.buf[:0], at.value)
	if found := in[string(c.buf)]; found != 0 {
		c.hit(t, found, string(c.buf), at)
	}
}

// hit takes an indicator and the others of its value, unless they are out of date or
// found already.
func (c *check) hit(t *tables, first int32, value string, at spot) {
	for n := first; n != 0; n = t.entries[n].next {
		e := &t.entries[n]
		if _, replaced := c.set.replaced[e.id]; replaced && t == c.set.base {
			continue
		}
		if e.expires > 0 && e.expires <= c.now().UnixMicro() {
			continue
		}
		if slices.ContainsFunc(c.hits, func(h Hit) bool { return h.Indicator.ID == e.id }) {
			continue
		}
		c.hits = append(c.hits, Hit{Indicator: t.indicator(e, value), Column: strings.Clone(at.column), Value: strings.Clone(at.value)})
	}
}

// asText is a text without a copy, of bytes that do not change any more.
func asText(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }
