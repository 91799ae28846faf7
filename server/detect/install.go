package detect

import (
	"context"
	"io/fs"
	"strings"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/sigma"
)

// shippedSetting records which shipped rules were installed, by the digest of their
// text: what an administrator changed or deleted afterwards stays so.
const shippedSetting = "rules_shipped"

// install stores the shipped rules that never were, and brings those up to date
// that are stored: what people changed of one stays, and one whose conditions they
// changed is left alone. Replicas may do so at the same time.
func (s *Store) install(ctx context.Context) error {
	if s.o.Shipped == nil {
		return nil
	}
	files, err := fs.Glob(s.o.Shipped, "*/*.yml")
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The rules that ship with the server cannot be read")
	}
	return s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, rulesLock); err != nil {
			return err
		}
		installed := map[string]string{}
		if _, err := tx.Setting(ctx, shippedSetting, &installed); err != nil {
			return err
		}
		changed := false
		for _, file := range files {
			text, err := fs.ReadFile(s.o.Shipped, file)
			if err != nil {
				return fault.Wrap(err, fault.Internal, "A rule that ships with the server cannot be read")
			}
			name, now := strings.TrimSuffix(file, ".yml"), digest(alone(string(text)))
			before := installed[name]
			if before == now {
				continue
			}
			if err := s.installOne(ctx, tx, name, alone(string(text)), before); err != nil {
				return err
			}
			installed[name], changed = now, true
		}
		if !changed {
			return nil
		}
		return tx.SetSetting(ctx, shippedSetting, installed)
	})
}

// installOne stores one shipped rule; before is the digest that was installed, or "".
func (s *Store) installOne(ctx context.Context, tx *database.DB, name, text, before string) error {
	result, reason := s.translate(text)
	next := derive(result, text)
	err := clean(&next)
	switch {
	case err != nil || (reason != "" && result.Outcome != sigma.NotApplicable):
		s.log.Error("a shipped rule is wrong, and left out", "file", name, "reason", reason, "error", err)
		return nil
	case reason != "":
		s.log.Warn("a shipped rule cannot be evaluated with this mapping", "file", name, "reason", reason)
	}
	next.Shipped, next.shippedSHA256 = name, digest(text)
	next.Created = s.o.Now()
	next.Updated = next.Created
	if before == "" {
		return s.installNew(ctx, tx, next)
	}
	stored, found, err := shippedRule(ctx, tx, name)
	if err != nil || !found || digest(stored.Source) != before {
		return err // deleted, or somebody's own by now
	}
	s.renewed(&stored, next)
	stored.shippedSHA256, stored.Updated = next.shippedSHA256, later(next.Updated, stored.Updated)
	if free, err := nameFree(ctx, tx, stored); err != nil {
		return err
	} else if !free {
		stored.Name = another(stored)
	}
	return replace(ctx, tx, &stored)
}

// installNew stores a rule that never was, unless somebody imported it before.
func (s *Store) installNew(ctx context.Context, tx *database.DB, r Rule) error {
	if r.SigmaID != "" {
		if _, found, err := storedSigma(ctx, tx, r); err != nil || found {
			return err
		}
	}
	return insertNamed(ctx, tx, &r)
}

func shippedRule(ctx context.Context, tx *database.DB, name string) (stored Rule, found bool, err error) {
	var ids []int64
	if err := tx.Read(ctx).Raw("SELECT id FROM rules WHERE shipped = ? ORDER BY id LIMIT 1", name).Scan(&ids).Error; err != nil || len(ids) == 0 {
		return Rule{}, false, database.Fault(err)
	}
	stored, err = readRule(ctx, tx, ids[0])
	return stored, err == nil, err
}
