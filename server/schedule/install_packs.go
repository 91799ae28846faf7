package schedule

import (
	"crypto/sha256"
	"encoding/hex"

	"muster/server/database"
)

// pack installs a pack that ships, or brings one up to date that is stored as it
// shipped before. What an administrator changed or deleted stays so, and its tags
// are set once.
func (i *installer) pack(p Pack) error {
	before, same := i.record("packs/"+p.Name, p.document())
	if same {
		return nil
	}
	e, err := newEditor(i.ctx, i.tx, database.FromMicros(i.now))
	if err != nil {
		return err
	}
	row := e.library.packNamed(p.Name)
	if before == "" && row == nil {
		p.Tags = []string{p.Name}
		return e.addPack(p, true)
	}
	if before == "" || row == nil || row.Builtin == 0 {
		return nil
	}
	if stored, err := e.library.storedPack(row); err == nil && digest(stored.document()) != before {
		return nil
	}
	return e.replacePack(row, p)
}

// replacePack gives a pack the properties and queries of p and no others.
func (e *editor) replacePack(row *packRow, p Pack) error {
	if err := e.updatePack(row, p); err != nil {
		return err
	}
	for _, id := range row.queries {
		query := e.library.query[id]
		if _, stays := p.Queries[query.Name]; stays {
			continue
		}
		if err := e.unlink(row, query); err != nil {
			return err
		}
	}
	return e.fill(row, p.Queries)
}

// digest stands for a document in the record of what was installed.
func digest(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:])
}
