package intel

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/indicator"
)

// maxOpen is how many values may wait for one service. What does not fit is offered
// again when it is seen again.
const maxOpen = 50_000

// Sought is a value that a host reported.
type Sought struct {
	Type  indicator.Type
	Value string // in normal form
}

// Fit says whether services may be asked about a value of a column: whole hashes, and
// names and addresses that mean the same to everybody.
func Fit(of indicator.Type, value string) (Sought, bool) {
	value = of.Normalize(value)
	switch of {
	case MD5, SHA1, SHA256:
		return Sought{of, value}, isHash(value, hashLength(of)) && strings.Trim(value, "0") != ""
	case Domain:
		for _, local := range []string{".local", ".lan", ".internal", ".home", ".corp", ".localdomain", ".arpa", ".test", ".invalid"} {
			if strings.HasSuffix(value, local) {
				return Sought{}, false
			}
		}
		return Sought{of, value}, value != "" && len(value) <= 253 && domainProblem(value) == ""
	case Address:
		address, found := indicator.Address(value)
		return Sought{of, value}, found && public(address)
	}
	return Sought{}, false
}

// TypesOf are those of types that are observed in a column.
func TypesOf(column string, types []indicator.Type) []indicator.Type {
	bits := watched[column]
	if bits == 0 {
		return nil
	}
	var of []indicator.Type
	for i, t := range Types() {
		if bits&(1<<i) != 0 && slices.Contains(types, t) {
			of = append(of, t)
		}
	}
	return of
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // between providers and their customers

func public(address netip.Addr) bool {
	return address.IsGlobalUnicast() && !address.IsPrivate() && !shared.Contains(address)
}

// Asked are the types that some service is asked about; none: nobody is asked.
// Faults: those of the database.
func (s *Store) Asked(ctx context.Context) ([]indicator.Type, error) {
	active, err := s.active(ctx)
	var types []indicator.Type
	for p, o := range active {
		for _, t := range o.types(services[p]) {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	return types, err
}

// Offer queues values for the services that are asked about their types: those that
// none was asked about, and those whose verdict has expired. Faults: those of the database.
func (s *Store) Offer(ctx context.Context, values []Sought) error {
	active, err := s.active(ctx)
	if err != nil {
		return err
	}
	for p, o := range active {
		types := o.types(services[p])
		list := []item{}
		for _, v := range values {
			if slices.Contains(types, v.Type) {
				list = append(list, item{Type: string(v.Type), Value: v.Value})
			}
		}
		open, err := s.waiting(ctx, p)
		if err != nil {
			return err
		}
		list = list[:min(len(list), max(maxOpen-open, 0))]
		for from := 0; from < len(list); from += batch {
			if err := s.queue(ctx, p, list[from:min(from+batch, len(list))]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) queue(ctx context.Context, p Provider, list []item) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	fields, from := "e.t, e.v", " FROM json_to_recordset(CAST(? AS json)) AS e (t text, v text) WHERE true"
	if s.db.Engine() == database.SQLite {
		fields, from = "json_extract(e.value, '$.t'), json_extract(e.value, '$.v')", liteFrom
	}
	now := database.Micros(s.o.Now())
	return database.Fault(s.db.Write(ctx).Exec(`INSERT INTO verdicts (provider, type, value, created_at, try_at)
		SELECT CAST(? AS text), `+fields+`, `+parameters(2)+from+` ON CONFLICT (provider, type, value) DO UPDATE
		SET checked_at = 0, attempts = 0, try_at = excluded.try_at WHERE verdicts.checked_at > 0 AND verdicts.expires_at <= excluded.try_at`,
		string(p), now, now, string(text)).Error)
}

// waiting is how many values wait for a service.
func (s *Store) waiting(ctx context.Context, p Provider) (count int, err error) {
	err = s.db.Read(ctx).Raw("SELECT count(*) FROM verdicts WHERE provider = ? AND checked_at = 0", string(p)).Scan(&count).Error
	return count, database.Fault(err)
}

// next are the values that a service is asked about now, of one type: those that came
// last before those that wait for long.
func (s *Store) next(ctx context.Context, p Provider, types []indicator.Type, some int) ([]Sought, error) {
	var rows []Sought
	err := s.db.Read(ctx).Raw(`SELECT type, value FROM verdicts WHERE provider = ? AND checked_at = 0 AND try_at <= ? AND type IN ?
		ORDER BY try_at DESC, type, value LIMIT ?`, string(p), database.Micros(s.o.Now()), types, some).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, database.Fault(err)
	}
	return slices.DeleteFunc(rows, func(v Sought) bool { return v.Type != rows[0].Type }), nil
}

// Verdict returns what a service said of a value last. Faults: NotFound.
func (s *Store) Verdict(ctx context.Context, p Provider, v Sought) (Verdict, error) {
	var row verdictRow
	err := s.db.Read(ctx).Raw("SELECT "+verdictFields+" FROM verdicts WHERE provider = ? AND type = ? AND value = ? AND (checked_at > 0 OR expires_at > 0)",
		string(p), string(v.Type), v.Value).Take(&row).Error
	return row.verdict(), database.Fault(err)
}

// Detected returns which services detect something in which values. Faults: those of
// the database.
func (s *Store) Detected(ctx context.Context) (map[Sought][]Provider, error) {
	var rows []verdictRow
	err := s.db.Read(ctx).Raw("SELECT provider, type, value FROM verdicts WHERE detected = 1 ORDER BY provider, type, value LIMIT ?", maxDetected).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	all := make(map[Sought][]Provider, len(rows))
	for _, row := range rows {
		v := Sought{indicator.Type(row.Type), row.Value}
		all[v] = append(all[v], Provider(row.Provider))
	}
	return all, nil
}

// maxDetected is how many detected values are looked for in what arrives.
const maxDetected = 200_000

const verdictFields = "provider, type, value, detected, severity, report, checked_at, expires_at"

type verdictRow struct {
	Provider, Type, Value string
	Detected              int
	Severity, Report      string
	CheckedAt, ExpiresAt  int64
}

func (r verdictRow) verdict() Verdict {
	return Verdict{
		Provider: Provider(r.Provider), Type: indicator.Type(r.Type), Value: r.Value, Detected: r.Detected == 1, Severity: r.Severity,
		Report: json.RawMessage(r.Report), Checked: database.FromMicros(r.CheckedAt), Expires: database.FromMicros(r.ExpiresAt),
	}
}

// PurgeVerdicts forgets verdicts that expired long ago. Faults: those of the database.
func (s *Store) PurgeVerdicts(ctx context.Context) error {
	before := database.Micros(s.o.Now().Add(-30 * 24 * time.Hour))
	return database.Fault(s.db.Write(ctx).Exec("DELETE FROM verdicts WHERE checked_at > 0 AND expires_at < ?", before).Error)
}
