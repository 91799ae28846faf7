package schedule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"muster/server/database"
)

// configRow is what is stored of a config.
type configRow struct {
	ID       int64
	Platform string
	Arch     string
	Type     string
	Version  int
	Document string
}

// Refresh reads what is stored if it changed since the last time: after it, what
// the caller has committed is served here. Faults: those of the database; then
// what was read last stays in use.
func (s *Store) Refresh(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	next, err := s.build(ctx, s.db, s.current.Load())
	if err == nil {
		s.current.Store(next)
	}
	return err
}

// build reads everything stored through db and makes a snapshot of it, taking what
// did not change, and what cannot be used now, from last (nil: there is none). When
// nothing changed it returns last itself.
//
// db may be a transaction: then the snapshot is what would be served if it were
// committed. build publishes nothing and changes nothing but what it returns.
func (s *Store) build(ctx context.Context, db *database.DB, last *snapshot) (*snapshot, error) {
	next := last
	err := db.View(ctx, func(view *database.DB) error {
		version, err := version(ctx, view)
		if err != nil || (last != nil && last.version == version) {
			return err
		}
		library, err := readLibrary(ctx, view)
		if err != nil {
			return err
		}
		configs, err := configRows(ctx, view)
		if err != nil {
			return err
		}
		options, err := storedOptions(ctx, view)
		if err != nil {
			return err
		}
		b := builder{log: s.log, last: last, next: newSnapshot(version, s.cacheBytes, s.log)}
		b.next.signatures = s.signatures
		b.readOptions(options)
		b.readQueries(library)
		b.readPacks(library)
		b.readConfigs(configs)
		b.next.inherit(last)
		next = b.next
		return nil
	})
	return next, err
}

// version tells whether anything changed, without reading documents. Rows and not
// the latest time are compared: a row may be gone, and replicas' clocks differ.
func version(ctx context.Context, db *database.DB) (string, error) {
	var rows []struct {
		Source string
		A, B   int64
		Value  string
	}
	err := db.Read(ctx).Raw(`
		SELECT 'pack' AS source, id AS a, updated_at AS b, '' AS value FROM packs
		UNION ALL SELECT 'query', id, updated_at, '' FROM queries
		UNION ALL SELECT 'config', id, updated_at, '' FROM configs WHERE active = 1
		UNION ALL SELECT 'in', pack_id, query_id, '' FROM pack_queries
		UNION ALL SELECT 'pack tag', l.pack_id, t.id, t.value FROM pack_tags AS l JOIN tags AS t ON t.id = l.tag_id
		UNION ALL SELECT 'query tag', l.query_id, t.id, t.value FROM query_tags AS l JOIN tags AS t ON t.id = l.tag_id
		ORDER BY 1, 2, 3`).Scan(&rows).Error
	if err != nil {
		return "", database.Fault(err)
	}
	options, err := storedOptions(ctx, db)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, row := range rows {
		_, _ = fmt.Fprintf(sum, "%s %d %d %q\n", row.Source, row.A, row.B, row.Value)
	}
	_, _ = sum.Write([]byte(options))
	return string(sum.Sum(nil)), nil
}

// configRows returns the active configs, by platform, architecture and type.
func configRows(ctx context.Context, db *database.DB) ([]configRow, error) {
	var rows []configRow
	err := db.Read(ctx).Raw("SELECT id, platform, arch, type, version, document FROM configs WHERE active = 1").Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	slices.SortFunc(rows, func(a, b configRow) int {
		return cmp.Or(strings.Compare(a.Platform, b.Platform), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Type, b.Type))
	})
	return rows, nil
}
