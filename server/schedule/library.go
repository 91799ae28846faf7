package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/server/database"
)

// StoredQuery is a query that stands for itself, in any number of packs.
type StoredQuery struct {
	Query
	Name string
	// Packed tells that it came with a pack, and goes with the last one.
	Packed           bool
	Created, Updated time.Time
}

// packRow and queryRow are what is stored, with the ids of what they are linked to,
// sorted.
type packRow struct {
	ID        int64
	Name      string
	Builtin   int64
	Document  string
	CreatedAt int64
	UpdatedAt int64
	tags      []int64
	queries   []int64
}

type queryRow struct {
	ID        int64
	Name      string
	Packed    int64
	Document  string
	CreatedAt int64
	UpdatedAt int64
	tags      []int64
	packs     []int64
}

// library is every stored pack and query.
type library struct {
	packs   []*packRow          // by name
	queries []*queryRow         // by id
	pack    map[int64]*packRow  // by id
	query   map[int64]*queryRow // by id
	tags    map[int64]string    // values of the tags that select something, by id
}

// readLibrary reads all of it. Call it in a View or a transaction: it takes several
// statements.
func readLibrary(ctx context.Context, db *database.DB) (*library, error) {
	l := &library{pack: map[int64]*packRow{}, query: map[int64]*queryRow{}, tags: map[int64]string{}}
	err := db.Read(ctx).Raw("SELECT id, name, builtin, document, created_at, updated_at FROM packs").Scan(&l.packs).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	err = db.Read(ctx).Raw("SELECT id, name, packed, document, created_at, updated_at FROM queries ORDER BY id").Scan(&l.queries).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	// Engines order text differently; configs must not.
	slices.SortFunc(l.packs, func(a, b *packRow) int { return strings.Compare(a.Name, b.Name) })
	for _, row := range l.packs {
		l.pack[row.ID] = row
	}
	for _, row := range l.queries {
		l.query[row.ID] = row
	}
	return l, l.readLinks(ctx, db)
}

func (l *library) readLinks(ctx context.Context, db *database.DB) error {
	var links []struct {
		Source   string
		From, To int64
		Value    string
	}
	err := db.Read(ctx).Raw(`
		SELECT 'in' AS source, pack_id AS "from", query_id AS "to", '' AS value FROM pack_queries
		UNION ALL SELECT 'pack', l.pack_id, t.id, t.value FROM pack_tags AS l JOIN tags AS t ON t.id = l.tag_id
		UNION ALL SELECT 'query', l.query_id, t.id, t.value FROM query_tags AS l JOIN tags AS t ON t.id = l.tag_id
		ORDER BY 1, 2, 3`).Scan(&links).Error
	if err != nil {
		return database.Fault(err)
	}
	for _, link := range links {
		pack, query := l.pack[link.From], l.query[link.From]
		switch link.Source {
		case "in":
			if query = l.query[link.To]; pack != nil && query != nil {
				pack.queries = append(pack.queries, link.To)
				query.packs = append(query.packs, link.From)
			}
		case "pack":
			if pack != nil {
				pack.tags = append(pack.tags, link.To)
				l.tags[link.To] = link.Value
			}
		case "query":
			if query != nil {
				query.tags = append(query.tags, link.To)
				l.tags[link.To] = link.Value
			}
		}
	}
	return nil
}

// tagNames returns the values of tags, sorted, nil for none.
func (l *library) tagNames(ids []int64) []string {
	var names []string
	for _, id := range ids {
		names = append(names, l.tags[id])
	}
	slices.Sort(names)
	return names
}

// storedQuery reads a query. One whose document cannot be read comes without content.
func (l *library) storedQuery(row *queryRow) (StoredQuery, error) {
	q, err := row.content()
	stored := StoredQuery{Query: q}
	l.label(row, &stored)
	return stored, err
}

// label puts on a query what stands beside its document.
func (l *library) label(row *queryRow, q *StoredQuery) {
	q.ID, q.Name, q.Packed, q.Status = row.ID, row.Name, row.Packed != 0, true
	q.Created, q.Updated = database.FromMicros(row.CreatedAt), database.FromMicros(row.UpdatedAt)
	q.Tags, q.Packs = l.tagNames(row.tags), nil
	for _, id := range row.packs {
		q.Packs = append(q.Packs, l.pack[id].Name)
	}
	slices.Sort(q.Packs)
}

// content is what the row's document says.
func (row *queryRow) content() (Query, error) {
	value, err := decode([]byte(row.Document), maxDepth)
	if err != nil {
		return Query{}, fmt.Errorf("query %q: %w", row.Name, err)
	}
	q, _, err := readQuery(row.Name, value, false)
	return q, err
}

// storedPack reads a pack with its queries. What cannot be read is missing in it;
// the error says what.
func (l *library) storedPack(row *packRow) (Pack, error) {
	p, failed := row.frame()
	for _, id := range row.queries {
		q, err := l.storedQuery(l.query[id])
		if err != nil && failed == nil {
			failed = err
		}
		if _, taken := p.Queries[q.Name]; !taken && err == nil {
			p.Queries[q.Name] = q.Query
		}
	}
	l.labelPack(row, &p)
	return p, failed
}

// labelPack puts on a pack what stands beside its document.
func (l *library) labelPack(row *packRow, p *Pack) {
	p.ID, p.Name, p.Builtin, p.Tags = row.ID, row.Name, row.Builtin != 0, l.tagNames(row.tags)
	p.Created, p.Updated = database.FromMicros(row.CreatedAt), database.FromMicros(row.UpdatedAt)
}

// frame is what the row's document says: the pack without its queries.
func (row *packRow) frame() (Pack, error) {
	empty := Pack{Name: row.Name, Queries: map[string]Query{}}
	value, err := decode([]byte(row.Document), maxDepth)
	if err != nil {
		return empty, fmt.Errorf("pack %q: %w", row.Name, err)
	}
	f := newFields(fmt.Sprintf("pack %q", row.Name), value)
	p, _ := readFrame(row.Name, f)
	if f.err != nil {
		return empty, f.err
	}
	return p, checkPackName(row.Name)
}
