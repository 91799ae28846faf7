package schedule

import (
	"log/slog"
	"maps"
	"slices"

	"muster/server/database"
)

// builder makes a snapshot of what is stored. A part that cannot be used is taken
// from the last snapshot, or left out: one bad document must not cost a host the rest.
type builder struct {
	log  *slog.Logger
	last *snapshot // nil at the start
	next *snapshot
}

func (b builder) readOptions(text string) {
	b.next.stored = map[string]any{}
	if text == "" {
		return
	}
	options, err := readOptions(text)
	if err != nil {
		b.log.Error("the stored options cannot be used; agents get the last good ones", "error", err)
		if b.last != nil {
			options = b.last.stored
		}
	}
	b.next.stored = options
}

func (b builder) readPacks(rows []packRow) {
	for _, row := range rows {
		last := b.lastPack(row.ID)
		if last != nil && last.Name == row.Name && last.document == row.Document {
			again := *last
			row.label(&again.Pack)
			b.next.packs = append(b.next.packs, again)
			continue
		}
		p, err := row.render()
		if err == nil {
			b.next.packs = append(b.next.packs, p)
			continue
		}
		b.log.Error("a stored pack cannot be used; agents get its last good form, if any", "pack", row.Name, "error", err)
		if last != nil {
			again := *last
			again.Tags = row.tags
			b.next.packs = append(b.next.packs, again)
		}
	}
	b.next.indexTags()
}

// render reads a stored pack and makes sure that agents take it.
func (row packRow) render() (renderedPack, error) {
	p, err := row.pack()
	if err != nil {
		return renderedPack{}, err
	}
	r := renderedPack{Pack: p, json: appendJSON(nil, p.object(false)), document: row.Document}
	return r, Validate(appendJSON(nil, map[string]any{"packs": map[string]rawJSON{p.Name: r.json}}))
}

func (b builder) lastPack(id int64) *renderedPack {
	if b.last == nil {
		return nil
	}
	at := slices.IndexFunc(b.last.packs, func(p renderedPack) bool { return p.ID == id })
	if at < 0 {
		return nil
	}
	return &b.last.packs[at]
}

func (b builder) readConfigs(rows []configRow) {
	for _, row := range rows {
		c, err := b.config(row)
		if err != nil {
			b.log.Error("a stored config cannot be used; agents get its last good form, or the default",
				"platform", row.Platform, "arch", row.Arch, "type", row.Type, "error", err)
			if c = b.lastGoodConfig(row.ID); c == nil {
				continue
			}
		}
		b.next.addConfig(c)
	}
	for _, platform := range families {
		b.next.shipped[platform] = b.shippedConfig(platform)
	}
}

// config renders a stored config, unless it and the options are those of last time.
func (b builder) config(row configRow) (*platformConfig, error) {
	if last := b.lastConfig(row.ID); last != nil && last.row == row && b.sameOptions() {
		return last, nil
	}
	d, err := readDocument("config/"+row.Platform+"/"+row.Arch+"/"+row.Type, []byte(row.Document))
	if err != nil {
		return nil, err
	}
	c := newPlatformConfig(row, d, b.next.stored)
	return c, Validate(c.assemble(nil))
}

func (b builder) sameOptions() bool {
	return b.last != nil && maps.Equal(b.last.stored, b.next.stored)
}

func (b builder) lastConfig(id int64) *platformConfig {
	if b.last == nil {
		return nil
	}
	at := slices.IndexFunc(b.last.configs, func(c *platformConfig) bool { return c.row.ID == id })
	if at < 0 {
		return nil
	}
	return b.last.configs[at]
}

// lastGoodConfig renders the last good form anew: the options may have changed.
func (b builder) lastGoodConfig(id int64) *platformConfig {
	last := b.lastConfig(id)
	if last == nil || b.sameOptions() {
		return last
	}
	again := newPlatformConfig(last.row, last.document, b.next.stored)
	if Validate(again.assemble(nil)) != nil {
		return last
	}
	return again
}

// shippedConfig is what hosts of a platform get when nothing usable is stored.
func (b builder) shippedConfig(platform string) *platformConfig {
	if b.sameOptions() {
		return b.last.shipped[platform]
	}
	d, err := readDocument("config/"+platform, shippedDocument(platform))
	if err != nil {
		b.log.Error("a config that ships with the server cannot be read", "platform", platform, "error", err)
	}
	row := configRow{Platform: platform, Arch: shippedArch, Type: shippedType}
	c := newPlatformConfig(row, d, b.next.stored)
	if Validate(c.assemble(nil)) != nil {
		c = newPlatformConfig(row, d, nil)
	}
	return c
}

// pack reads a stored pack.
func (row packRow) pack() (Pack, error) {
	p, _, err := ParsePack(row.Name, []byte(row.Document))
	row.label(&p)
	return p, err
}

// label puts on a pack what stands beside its document.
func (row packRow) label(p *Pack) {
	p.ID, p.Name, p.Builtin, p.Tags = row.ID, row.Name, row.Builtin != 0, row.tags
	p.Created, p.Updated = database.FromMicros(row.CreatedAt), database.FromMicros(row.UpdatedAt)
}
