package schedule

import (
	"crypto/sha256"
	"encoding/hex"

	"muster/packs"
	"muster/server/database"
)

// The types of configs. Hosts of a platform and architecture run the one that is
// active; 64-bit Windows has two to choose from, all others one.
const (
	DefaultConfig = "default"
	ShallowConfig = "shallow"
	DeepConfig    = "deep"
)

// ConfigTypes are the types of configs; a type's place is its number on the wire
// (esp-api 1.12).
var ConfigTypes = []string{DefaultConfig, ShallowConfig, DeepConfig}

// shippedArch is the architecture that others of a platform fall back to.
const shippedArch = "x86_64"

// shippedConfig is a config that ships: which one it is, its file, and the key that
// its digest is noted under. Keys and files of a platform's first are the older ones.
type shippedConfig struct {
	ConfigKey
	file, digest string
}

// shippedConfigs are installed in this order: the first of a platform and
// architecture becomes the active one.
var shippedConfigs = []shippedConfig{
	{ConfigKey{linux, shippedArch, DefaultConfig}, linux, "configs/linux"},
	{ConfigKey{darwin, shippedArch, DefaultConfig}, darwin, "configs/darwin"},
	{ConfigKey{windows, shippedArch, ShallowConfig}, windows, "configs/windows"},
	{ConfigKey{windows, shippedArch, DeepConfig}, "windows-deep", "configs/windows/x86_64/deep"},
	{ConfigKey{windows, "x86", DefaultConfig}, windows, "configs/windows/x86/default"},
	{ConfigKey{freebsd, shippedArch, DefaultConfig}, freebsd, "configs/freebsd"},
}

// firstShipped is the config that ships for a platform and is active at first.
func firstShipped(platform string) shippedConfig {
	for _, c := range shippedConfigs {
		if c.Platform == platform {
			return c
		}
	}
	return shippedConfigs[0]
}

// shippedDocument is what hosts of a platform get when nothing usable is stored.
func shippedDocument(platform string) []byte { return []byte(firstShipped(platform).document()) }

func (c shippedConfig) document() string {
	data, _ := packs.Files.ReadFile("configs/" + c.file + ".json")
	return string(data)
}

// config installs a shipped config, and replaces one that was installed before only
// as long as it is stored as it shipped.
func (i *installer) config(c shippedConfig) error {
	document := c.document()
	before, same := i.record(c.digest, document)
	if same {
		return nil
	}
	if before == "" {
		return i.insertConfig(c, document)
	}
	row, err := lockConfig(i.ctx, i.tx, c.ConfigKey)
	if err != nil || row == nil {
		return err
	}
	if sum := sha256.Sum256([]byte(row.Document)); hex.EncodeToString(sum[:]) != before {
		return nil
	}
	return replaceConfig(i.ctx, i.tx, *row, configVersion{Document: document, Comment: "Came with an update of the server", CreatedAt: i.now})
}

// insertConfig leaves alone what another replica installs at the same time, and what
// an administrator made active.
func (i *installer) insertConfig(c shippedConfig, document string) error {
	var active int64
	err := i.tx.Read(i.ctx).Raw("SELECT count(*) FROM configs WHERE platform = ? AND arch = ? AND active = 1",
		c.Platform, c.Arch).Scan(&active).Error
	if err != nil {
		return database.Fault(err)
	}
	return database.Fault(i.tx.Write(i.ctx).Exec(`
		INSERT INTO configs (platform, arch, type, active, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
		c.Platform, c.Arch, c.Type, 1-min(active, 1), document, i.now, i.now).Error)
}
