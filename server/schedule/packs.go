package schedule

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"muster/server/database"
)

// PackFilter chooses packs. Zero values do not restrict.
type PackFilter struct {
	// Search is looked for, in any case, in name, platform, version, description,
	// category and shard.
	Search string
	// TagIDs chooses packs that carry one of these tags.
	TagIDs []int64
	// Start and Limit cut out a page; 0 is no limit.
	Start, Limit int
}

func (f PackFilter) search(p Pack) bool {
	return contains(f.Search, p.Name, p.Platform, p.Version, p.Description, p.Category, strconv.Itoa(cmp.Or(p.Shard, 100)))
}

// ListPacks returns the stored packs that match, the newest first, with the number
// that matches and the number without the search. What cannot be read of a pack is
// missing in it.
func (s *Store) ListPacks(ctx context.Context, f PackFilter) (packs []Pack, count, total int, err error) {
	l, err := s.library(ctx)
	if err != nil {
		return nil, 0, 0, err
	}
	packs = []Pack{}
	for _, row := range slices.SortedFunc(slices.Values(l.packs), func(a, b *packRow) int { return cmp.Compare(b.ID, a.ID) }) {
		if !carries(row.tags, f.TagIDs) {
			continue
		}
		total++
		if p := s.readable(l, row); f.search(p) {
			packs = append(packs, p)
		}
	}
	return page(packs, f.Start, f.Limit), len(packs), total, nil
}

// FindPack returns a pack by id, else by name. Faults: NotFound.
func (s *Store) FindPack(ctx context.Context, idOrName string) (Pack, error) {
	l, err := s.library(ctx)
	if err != nil {
		return Pack{}, err
	}
	row, err := l.findPack(idOrName)
	if err != nil {
		return Pack{}, err
	}
	return s.readable(l, row), nil
}

// library reads every stored pack and query at one time.
func (s *Store) library(ctx context.Context) (l *library, err error) {
	err = s.db.View(ctx, func(view *database.DB) error {
		l, err = readLibrary(ctx, view)
		return err
	})
	return l, err
}

// readable is the pack without what cannot be read of it, which the log says.
func (s *Store) readable(l *library, row *packRow) Pack {
	p, err := l.storedPack(row)
	if err != nil {
		s.log.Error("a stored pack cannot be read", "pack", row.Name, "error", err)
	}
	return p
}

// AddPack stores a pack with its tags, which are made where they are new; hosts that
// carry one of them get it with their next config. Into a pack of that name that is
// there already, what the new one says is merged: its queries replace those of their
// names and join the others. A query that is stored already with the same name and
// content is shared.
//
// The warnings name the tables, columns and functions that osquery does not have.
// Faults: Unprocessable when ParsePack would refuse it, for SQL that is none, and
// when it is too large for a config; Invalid for a bad tag.
func (s *Store) AddPack(ctx context.Context, p Pack) (Pack, []string, error) {
	added, warnings, err := s.ImportPacks(ctx, []Pack{p})
	if err != nil {
		return Pack{}, nil, err
	}
	return added[0], warnings, nil
}

// ImportPacks is AddPack for several packs: all of them, or none.
func (s *Store) ImportPacks(ctx context.Context, packs []Pack) (added []Pack, warnings []string, err error) {
	checked, warnings, err := checkPacks(ctx, packs)
	if err != nil {
		return nil, nil, err
	}
	err = s.edit(ctx, func(e *editor) error {
		added, err = e.addPacks(checked)
		return err
	})
	return added, warnings, err
}

// checkPacks is checkPack for several.
func checkPacks(ctx context.Context, packs []Pack) (checked []Pack, warnings []string, err error) {
	for _, p := range packs {
		clean, more, err := checkPack(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		clean.Tags = p.Tags
		checked, warnings = append(checked, clean), append(warnings, more...)
	}
	return checked, warnings, nil
}

// addPacks stores packs and returns them as stored.
func (e *editor) addPacks(packs []Pack) (added []Pack, err error) {
	for _, p := range packs {
		if err := e.addPack(p, false); err != nil {
			return nil, err
		}
	}
	l, err := readLibrary(e.ctx, e.tx)
	for _, p := range packs {
		if err == nil {
			var stored Pack
			stored, err = l.storedPack(l.packNamed(p.Name))
			added = append(added, stored)
		}
	}
	return added, err
}

// checkPack returns a pack as it reads back once it is stored.
func checkPack(ctx context.Context, p Pack) (Pack, []string, error) {
	clean, _, err := ParsePack(p.Name, []byte(p.document()))
	if err != nil {
		return Pack{}, nil, err
	}
	warnings, err := checkSQL(ctx, fmt.Sprintf("pack %q, ", p.Name), clean)
	return clean, warnings, err
}

// addPack stores a pack or merges it into the one of its name.
func (e *editor) addPack(p Pack, builtin bool) error {
	row := e.library.packNamed(p.Name)
	if row == nil {
		var err error
		if row, err = e.insertPack(p, builtin); err != nil {
			return err
		}
	} else if err := e.mergeFrame(row, p); err != nil {
		return err
	}
	if err := e.fill(row, p.Queries); err != nil {
		return err
	}
	if err := e.checkSize(row); err != nil {
		return err
	}
	return e.addTags(packTags, row.ID, p.Tags)
}

func (e *editor) insertPack(p Pack, builtin bool) (*packRow, error) {
	at := database.Micros(e.now)
	row := &packRow{Name: p.Name, Document: p.frameDocument(), CreatedAt: at, UpdatedAt: at}
	if builtin {
		row.Builtin = 1
	}
	err := e.tx.Write(e.ctx).Raw("INSERT INTO packs (name, builtin, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?) RETURNING id",
		row.Name, row.Builtin, row.Document, at, at).Scan(&row.ID).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	e.library.packs = append(e.library.packs, row)
	e.library.pack[row.ID] = row
	return row, nil
}

// mergeFrame gives a pack the properties that p sets.
func (e *editor) mergeFrame(row *packRow, p Pack) error {
	merged, err := row.frame()
	if err != nil {
		merged = Pack{Name: row.Name}
	}
	merged.Platform, merged.Version = cmp.Or(p.Platform, merged.Platform), cmp.Or(p.Version, merged.Version)
	merged.Shard = cmp.Or(p.Shard, merged.Shard)
	merged.Description, merged.Category = cmp.Or(p.Description, merged.Description), cmp.Or(p.Category, merged.Category)
	if len(p.Discovery) > 0 {
		merged.Discovery = p.Discovery
	}
	if len(p.FilePaths) > 0 {
		merged.FilePaths = p.FilePaths
	}
	if merged.Other == nil {
		merged.Other = map[string]any{}
	}
	maps.Copy(merged.Other, p.Other)
	return e.updatePack(row, merged)
}

// checkSize refuses a pack that no config has room for. Faults: Unprocessable.
func (e *editor) checkSize(row *packRow) error {
	p, err := e.library.storedPack(row)
	if err != nil {
		return nil // it was broken before and reaches no agent
	}
	if err := validForAll(appendJSON(nil, map[string]any{"packs": map[string]any{p.Name: p.object(false)}})); err != nil {
		return unprocessable(err)
	}
	return nil
}

// DeletePack removes a pack, a built-in one too. Queries that came with it go as
// well, unless another pack has them or they carry a tag. It returns what the pack
// was. Faults: NotFound.
func (s *Store) DeletePack(ctx context.Context, idOrName string) (Pack, error) {
	var deleted Pack
	err := s.edit(ctx, func(e *editor) error {
		row, err := e.library.findPack(idOrName)
		if err != nil {
			return err
		}
		deleted = s.readable(e.library, row)
		for _, id := range row.queries {
			if err := e.unlink(row, e.library.query[id]); err != nil {
				return err
			}
		}
		return e.exec("DELETE FROM packs WHERE id = ?", row.ID)
	})
	return deleted, err
}

// contains reports whether one of the texts holds what is searched for, in any case.
func contains(search string, texts ...string) bool {
	search = strings.ToLower(strings.TrimSpace(search))
	return search == "" || slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), search) })
}

// carries reports whether one of the tags is wanted; no wish is none.
func carries(tags, wanted []int64) bool {
	return wanted == nil || slices.ContainsFunc(tags, func(id int64) bool { return slices.Contains(wanted, id) })
}

// page cuts out limit items from start; 0 is no limit.
func page[T any](items []T, start, limit int) []T {
	items = items[min(max(start, 0), len(items)):]
	if limit > 0 && limit < len(items) {
		items = items[:limit]
	}
	return items
}
