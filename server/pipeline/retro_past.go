package pipeline

import (
	"context"
	"strconv"
	"time"
	"unsafe"

	"muster/server/condition"
	"muster/server/intel"
	"muster/server/results"
)

// past gathers sightings: of each indicator and host the newest, and how many.
type past struct {
	r      *Retro
	wanted map[int64]bool
	row    condition.Object
	hosts  registered
	seen   map[pastKey]*pastSighting
	order  []*pastSighting
	full   bool      // there were more than can be raised
	before time.Time // the part of the log that is still to be looked at; zero: all
}

type pastKey struct {
	value string
	host  int64
}

type pastSighting struct {
	intel.Hit
	row         results.Row // the newest
	count       int
	first, last time.Time
}

func (r *Retro) newPast(wanted map[int64]bool) *past {
	return &past{r: r, wanted: wanted, hosts: registered{hosts: r.Hosts}, seen: map[pastKey]*pastSighting{}}
}

// hits are the indicators in columns that are looked for.
func (p *past) hits(columns []byte) []intel.Hit {
	if p.row.Load(unsafe.String(unsafe.SliceData(columns), len(columns))) != nil {
		return nil
	}
	var hits []intel.Hit
	for _, h := range p.r.Intel.Check(&p.row) {
		if p.wanted[h.Indicator.ID] {
			hits = append(hits, h)
		}
	}
	return hits
}

func (p *past) holds(columns []byte) bool { return len(p.hits(columns)) > 0 }

// add takes a row.
func (p *past) add(ctx context.Context, row results.Row) error {
	hits := p.hits(row.Columns)
	if len(hits) == 0 {
		return nil
	}
	if there, err := p.hosts.is(ctx, row.HostID); err != nil || !there {
		return err
	}
	for _, h := range hits {
		key := pastKey{h.Indicator.Key(), row.HostID}
		s := p.seen[key]
		if s == nil {
			if len(p.order) == retroAlerts {
				p.full = true
				continue
			}
			s = &pastSighting{Hit: h, row: row, first: row.Time, last: row.Time}
			p.seen[key], p.order = s, append(p.order, s)
		}
		if row.ID > s.row.ID {
			s.row, s.Hit = row, h
		}
		s.count++
		if row.Time.Before(s.first) {
			s.first = row.Time
		}
		if row.Time.After(s.last) {
			s.last = row.Time
		}
	}
	return nil
}

// found is what to raise for a sighting: the row is the newest of them.
func (s *pastSighting) found() found {
	f, row := hitFound(&s.Hit), s.row
	f.HostID, f.QueryName, f.Action, f.Columns, f.UnixTime, f.ResultID = row.HostID, row.Name, row.Action, row.Columns, row.Time.Unix(), row.ID
	f.Retro, f.Once = true, "ioc:"+s.Indicator.Key()+":"+strconv.FormatInt(row.HostID, 10)
	data := indicatorData(s.Indicator)
	data["sightings"], data["first_seen"], data["last_seen"] = s.count, s.first, s.last
	f.SourceData = encoded(data)
	return f
}
