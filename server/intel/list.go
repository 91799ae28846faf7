package intel

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/indicator"
)

// Filter says which indicators are asked for. Zero values ask for all.
type Filter struct {
	Feed       string
	Type       indicator.Type
	ThreatName string
	Search     string // in value or threat name, in any case
	Start      int
	Limit      int // 0: all
}

// row is an indicator as it lies in the database.
type row struct {
	ID                                      int64
	Type, Value, ThreatName, Severity, Feed string
	Confidence                              int
	Description                             string
	CreatedAt, UpdatedAt, ExpiresAt         int64
	Changed, Known                          int64 // where they are asked for
}

const rowFields = "id, type, value, threat_name, severity, feed, confidence, description, created_at, updated_at, expires_at"

func (r row) indicator() Indicator {
	return Indicator{ID: r.ID, Feed: r.Feed, Created: database.FromMicros(r.CreatedAt), Updated: database.FromMicros(r.UpdatedAt), NewIndicator: NewIndicator{
		Type: indicator.Type(r.Type), Value: r.Value, ThreatName: r.ThreatName, Severity: r.Severity,
		Confidence: r.Confidence, Description: r.Description, Expires: database.FromMicros(r.ExpiresAt),
	}}
}

func indicators(rows []row) []Indicator {
	all := make([]Indicator, len(rows))
	for i, r := range rows {
		all[i] = r.indicator()
	}
	return all
}

// List returns a part of the indicators, the newest first, and how many there are;
// expired ones are among them. Faults: those of the database.
func (s *Store) List(ctx context.Context, f Filter) ([]Indicator, int, error) {
	where, args := f.where(s.db.Engine())
	var count int
	if err := s.db.Read(ctx).Raw("SELECT count(*) FROM indicators WHERE "+where, args...).Scan(&count).Error; err != nil {
		return nil, 0, database.Fault(err)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = s.o.Most
	}
	var rows []row
	err := s.db.Read(ctx).Raw("SELECT "+rowFields+" FROM indicators WHERE "+where+" ORDER BY id DESC LIMIT ? OFFSET ?", append(args, limit, max(f.Start, 0))...).Scan(&rows).Error
	return indicators(rows), count, database.Fault(err)
}

func (f Filter) where(engine database.Engine) (string, []any) {
	where, args := "deleted = 0", []any{}
	also := func(condition string, values ...any) {
		where, args = where+" AND "+condition, append(args, values...)
	}
	if f.Feed != "" {
		also("feed = ?", f.Feed)
	}
	if f.Type != "" {
		also("type = ?", string(f.Type))
	}
	if f.ThreatName != "" {
		also("threat_name = ?", f.ThreatName)
	}
	if f.Search != "" {
		sought := string(indicator.AppendFold(nil, f.Search))
		if engine == database.Postgres { // lower folds ASCII alone under that collation, as on SQLite
			also(`(strpos(lower(value COLLATE "C"), ?) > 0 OR strpos(lower(threat_name COLLATE "C"), ?) > 0)`, sought, sought)
		} else {
			also("(instr(lower(value), ?) > 0 OR instr(lower(threat_name), ?) > 0)", sought, sought)
		}
	}
	return where, args
}

// Self returns the indicators that people entered, in the order of their threats and
// values. Faults: those of the database.
func (s *Store) Self(ctx context.Context) ([]Indicator, error) {
	var rows []row
	err := s.db.Read(ctx).Raw("SELECT "+rowFields+" FROM indicators WHERE feed = ? AND deleted = 0 ORDER BY id", Self).Scan(&rows).Error
	return indicators(rows), database.Fault(err)
}

// Holding returns the indicators that the value is, of a type or (if it is empty) of
// any: those of its very text, and for a name or an address those that cover it too,
// which come from memory. Faults: those of the database.
func (s *Store) Holding(ctx context.Context, of indicator.Type, value string) ([]Indicator, error) {
	ids := []int64{-1}
	for _, hit := range s.checkValue(of, value) {
		ids = append(ids, hit.Indicator.ID)
	}
	where, args := "id IN ?", []any{ids}
	for _, t := range Types() {
		if of == "" || of == t {
			text := t.Normalize(value)
			if network, problem := normal(t, value, false); problem == "" {
				text = network
			}
			where, args = where+" OR (type = ? AND value = ?)", append(args, string(t), text)
		}
	}
	var rows []row
	err := s.db.Read(ctx).Raw("SELECT "+rowFields+" FROM indicators WHERE deleted = 0 AND ("+where+") ORDER BY id", args...).Scan(&rows).Error
	return indicators(rows), database.Fault(err)
}

// Feed is where indicators come from.
type Feed struct {
	Name    string
	Count   int // of its indicators
	Expired int // of these
	Types   map[indicator.Type]int
	Updated time.Time // when one of them last came or changed
}

// Feeds lists the feeds that have indicators, by name. Faults: those of the database.
func (s *Store) Feeds(ctx context.Context) ([]Feed, error) {
	var rows []struct {
		Feed, Type     string
		Count, Expired int
		Updated        int64
	}
	err := s.db.Read(ctx).Raw(`SELECT feed, type, count(*) AS count, max(updated_at) AS updated,
		sum(CASE WHEN expires_at > 0 AND expires_at <= ? THEN 1 ELSE 0 END) AS expired
		FROM indicators WHERE deleted = 0 GROUP BY feed, type ORDER BY feed, type`, database.Micros(s.o.Now())).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	feeds := []Feed{}
	for _, r := range rows {
		if len(feeds) == 0 || feeds[len(feeds)-1].Name != r.Feed {
			feeds = append(feeds, Feed{Name: r.Feed, Types: map[indicator.Type]int{}})
		}
		f := &feeds[len(feeds)-1]
		f.Count, f.Expired = f.Count+r.Count, f.Expired+r.Expired
		if updated := database.FromMicros(r.Updated); updated.After(f.Updated) {
			f.Updated = updated
		}
		f.Types[indicator.Type(r.Type)] = r.Count
	}
	return feeds, nil
}
