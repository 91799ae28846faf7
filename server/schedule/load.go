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

// packRow and configRow are what is stored.
type packRow struct {
	ID        int64
	Name      string
	Builtin   int64
	Document  string
	CreatedAt int64
	UpdatedAt int64
	tags      []string
}

type configRow struct {
	ID       int64
	Platform string
	Arch     string
	Type     string
	Document string
}

// refresh reads what is stored if it changed since the last time.
func (s *Store) refresh(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	// The version is read first: a change between the two readings is seen next time.
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	last := s.current.Load()
	if last != nil && last.version == version {
		return nil
	}
	packs, err := s.packRows(ctx)
	if err != nil {
		return err
	}
	configs, err := s.configRows(ctx)
	if err != nil {
		return err
	}
	options, err := s.storedOptions(ctx)
	if err != nil {
		return err
	}
	b := builder{log: s.log, last: last, next: newSnapshot(version, s.cacheBytes, s.log)}
	b.readOptions(options)
	b.readPacks(packs)
	b.readConfigs(configs)
	b.next.inherit(last)
	s.current.Store(b.next)
	return nil
}

// version tells whether anything changed. Rows and not the latest time are
// compared: a row may be gone, and replicas' clocks differ.
func (s *Store) version(ctx context.Context) (string, error) {
	var rows []struct {
		Source    string
		ID        int64
		UpdatedAt int64
	}
	err := s.db.Read(ctx).Raw(`
		SELECT 'pack' AS source, id, updated_at FROM packs
		UNION ALL SELECT 'config', id, updated_at FROM configs
		ORDER BY 1, 2`).Scan(&rows).Error
	if err != nil {
		return "", database.Fault(err)
	}
	options, err := s.storedOptions(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, row := range rows {
		_, _ = fmt.Fprintf(sum, "%s %d %d\n", row.Source, row.ID, row.UpdatedAt)
	}
	_, _ = sum.Write([]byte(options))
	return string(sum.Sum(nil)), nil
}

// packRows returns the packs by name, with their tags sorted.
func (s *Store) packRows(ctx context.Context) ([]packRow, error) {
	var rows []packRow
	err := s.db.Read(ctx).Raw("SELECT id, name, builtin, document, created_at, updated_at FROM packs").Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	var tags []struct {
		PackID int64
		Tag    string
	}
	if err := s.db.Read(ctx).Raw("SELECT pack_id, tag FROM pack_tags").Scan(&tags).Error; err != nil {
		return nil, database.Fault(err)
	}
	byPack := map[int64][]string{}
	for _, tag := range tags {
		byPack[tag.PackID] = append(byPack[tag.PackID], tag.Tag)
	}
	for i := range rows {
		rows[i].tags = byPack[rows[i].ID]
	}
	// Engines order text differently; configs must not.
	slices.SortFunc(rows, func(a, b packRow) int { return strings.Compare(a.Name, b.Name) })
	for i := range rows {
		slices.Sort(rows[i].tags)
	}
	return rows, nil
}

// configRows returns the active configs, by platform, architecture and type.
func (s *Store) configRows(ctx context.Context) ([]configRow, error) {
	var rows []configRow
	err := s.db.Read(ctx).Raw("SELECT id, platform, arch, type, document FROM configs WHERE active = 1").Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	slices.SortFunc(rows, func(a, b configRow) int {
		return cmp.Or(strings.Compare(a.Platform, b.Platform), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Type, b.Type))
	})
	return rows, nil
}
