package schedule

import (
	"log/slog"
	"maps"
	"slices"
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
	c := newPlatformConfig(row, d, b.next.additions())
	return c, Validate(c.assemble(selection{}))
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
	again := newPlatformConfig(last.row, last.document, b.next.additions())
	if Validate(again.assemble(selection{})) != nil {
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
	row := configRow{Platform: platform, Arch: shippedArch, Type: firstShipped(platform).Type}
	c := newPlatformConfig(row, d, b.next.additions())
	if Validate(c.assemble(selection{})) != nil {
		c = newPlatformConfig(row, d, additions{})
	}
	return c
}
