package schedule

import "slices"

// content is what a stored query says, with its JSON for agents. It does not change,
// so that a snapshot can tell by the pointer what it has rendered before.
type content struct {
	name, document string // what it was read from
	query          Query
	json           rawJSON
}

// readyQuery is a stored query that agents can run.
type readyQuery struct {
	StoredQuery
	content *content
	tagIDs  []int64
}

// renderedPack is a pack with its JSON for agents, and what both were read from.
type renderedPack struct {
	Pack
	tagIDs   []int64
	json     map[string]rawJSON // by platform, without queries that never run there
	size     int                // of the largest of them
	document string
	contents []*content
}

// readQueries renders the queries that packs or tags select.
func (b builder) readQueries(l *library) {
	for _, row := range l.queries {
		if len(row.packs) == 0 && len(row.tags) == 0 {
			continue
		}
		last := b.lastQuery(row.ID)
		ready := &readyQuery{content: last, tagIDs: row.tags}
		if last == nil || last.name != row.Name || last.document != row.Document {
			fresh, err := row.render()
			if err != nil {
				b.log.Error("a stored query cannot be used; agents get its last good form, if any", "query", row.Name, "id", row.ID, "error", err)
			} else {
				ready.content = fresh
			}
		}
		if ready.content == nil {
			continue
		}
		ready.Query = ready.content.query
		l.label(row, &ready.StoredQuery)
		ready.Name = ready.content.name
		b.next.queries[row.ID] = ready
		if len(row.tags) > 0 {
			b.next.tagged = append(b.next.tagged, ready)
		}
	}
	b.sayTwice()
}

// render reads a stored query and makes sure that agents take it.
func (row *queryRow) render() (*content, error) {
	q, err := row.content()
	if err != nil {
		return nil, err
	}
	c := &content{name: row.Name, document: row.Document, query: q, json: appendJSON(nil, q.object(false))}
	return c, Validate(appendJSON(nil, map[string]any{"schedule": map[string]rawJSON{row.Name: c.json}}))
}

func (b builder) lastQuery(id int64) *content {
	if b.last == nil || b.last.queries[id] == nil {
		return nil
	}
	return b.last.queries[id].content
}

// sayTwice warns, once, of queries with tags that share a name: a host that both
// select runs the older one.
func (b builder) sayTwice() {
	first := map[string]int64{}
	for _, q := range b.next.tagged {
		if older, twice := first[q.Name]; twice {
			b.next.twice[q.ID] = true
			if b.last == nil || !b.last.twice[q.ID] {
				b.log.Warn("two queries with tags share a name; a host that both select runs the first one only",
					"query", q.Name, "first", older, "second", q.ID)
			}
			continue
		}
		first[q.Name] = q.ID
	}
}

func (b builder) readPacks(l *library) {
	for _, row := range l.packs {
		if p := b.pack(l, row); p != nil {
			b.next.packs = append(b.next.packs, p)
		}
	}
	b.next.indexTags()
}

// pack renders a stored pack, takes its last good form, or returns nil. A pack
// without queries is none for agents.
func (b builder) pack(l *library, row *packRow) *renderedPack {
	last := b.lastPack(row.ID)
	ready := b.packQueries(row)
	p := &renderedPack{tagIDs: row.tags, document: row.Document}
	for _, q := range ready {
		p.contents = append(p.contents, q.content)
	}
	if last != nil && last.Name == row.Name && last.document == row.Document && slices.Equal(last.contents, p.contents) {
		p.Pack, p.json, p.size = last.Pack, last.json, last.size
		p.Queries = labelled(ready)
	} else if err := p.render(row, ready); err != nil {
		b.log.Error("a stored pack cannot be used; agents get its last good form, if any", "pack", row.Name, "error", err)
		if last == nil {
			return nil
		}
		again := *last
		again.tagIDs, again.Tags = row.tags, l.tagNames(row.tags)
		return &again
	}
	l.labelPack(row, &p.Pack)
	if len(p.Queries) == 0 {
		return nil
	}
	return p
}

// packQueries are the usable queries of a pack, one for each name.
func (b builder) packQueries(row *packRow) []*readyQuery {
	var ready []*readyQuery
	taken := map[string]bool{}
	for _, id := range row.queries {
		if q := b.next.queries[id]; q != nil && !taken[q.Name] {
			taken[q.Name] = true
			ready = append(ready, q)
		}
	}
	return ready
}

func labelled(ready []*readyQuery) map[string]Query {
	queries := map[string]Query{}
	for _, q := range ready {
		queries[q.Name] = q.Query
	}
	return queries
}

// render reads a stored pack and makes sure that agents take it.
func (p *renderedPack) render(row *packRow, ready []*readyQuery) error {
	frame, err := row.frame()
	if err != nil {
		return err
	}
	p.Pack = frame
	p.Queries = labelled(ready)
	p.json = map[string]rawJSON{}
	for _, platform := range families {
		if p.runsOn(platform) {
			p.json[platform] = p.jsonFor(platform, ready)
			p.size = max(p.size, len(p.json[platform]))
		}
	}
	return Validate(appendJSON(nil, map[string]any{"packs": map[string]any{p.Name: p.object(false)}}))
}

// jsonFor is the pack as agents of a platform get it.
func (p *renderedPack) jsonFor(platform string, ready []*readyQuery) rawJSON {
	queries := map[string]rawJSON{}
	for _, q := range ready {
		if runsOn(q.Platform, platform) {
			queries[q.Name] = q.content.json
		}
	}
	o := p.frame(false)
	o["queries"] = queries
	return appendJSON(nil, o)
}

func (b builder) lastPack(id int64) *renderedPack {
	if b.last == nil {
		return nil
	}
	at := slices.IndexFunc(b.last.packs, func(p *renderedPack) bool { return p.ID == id })
	if at < 0 {
		return nil
	}
	return b.last.packs[at]
}
