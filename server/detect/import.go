package detect

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/sigma"
)

// MaxImport bounds the text of one import, in bytes.
const MaxImport = sigma.MaxText

// importAtOnce is how many rules are stored in one transaction: SQLite has one
// writer, and hosts report meanwhile.
const importAtOnce = 100

// ImportOptions say what to do with the rules of a text.
type ImportOptions struct {
	File     string // where the text comes from, for the report
	Username string
	DryRun   bool   // change nothing; ids of new rules are 0 then
	Status   string // of new rules; empty: each rule's own
}

// ImportReport says what became of each rule of a text, in the order of the text.
type ImportReport struct {
	Imported, Updated, Unchanged []ImportedRule
	NotApplicable, Failed        []RefusedRule
}

// ImportedRule is a rule that is stored.
type ImportedRule struct {
	ID       int64
	Name     string
	Tables   []string // that it looks at
	Warnings []string // what it leaves out
	// Before and After are its Sigma texts; Before is empty of a new rule.
	Before, After string
}

// RefusedRule is one that is not.
type RefusedRule struct {
	Name, Reason, File string
	Line               int
}

// Import stores the Sigma rules of a text: new ones, and those whose id is stored
// already in place of them, where what people changed of a rule but its conditions
// stays. Rules are stored some at a time; after a failure the report tells which.
//
// Faults: Unprocessable for a text that is too large or no UTF-8; Invalid for a
// status; those of the database.
func (s *Store) Import(ctx context.Context, text []byte, o ImportOptions) (ImportReport, error) {
	i := importer{s: s, o: o, seen: map[string]bool{}, now: s.o.Now()}
	if o.Status != "" {
		var err error
		if i.o.Status, err = oneOf("status", o.Status, Active, []string{Active, Inactive}); err != nil {
			return ImportReport{}, err
		}
	}
	results, err := sigma.Translate(text, s.o.Mapping)
	if err != nil {
		return ImportReport{}, err
	}
	for part := range slices.Chunk(i.sort(results), importAtOnce) {
		if err = i.store(ctx, part); err != nil {
			break
		}
	}
	if !o.DryRun {
		s.changed()
	}
	return i.report, err
}

type importer struct {
	s      *Store
	o      ImportOptions
	now    time.Time
	seen   map[string]bool // names and ids in this text
	room   int64           // for new rules
	report ImportReport
}

// sort takes out what cannot be stored.
func (i *importer) sort(results []sigma.Result) []sigma.Result {
	var fine []sigma.Result
	for _, r := range results {
		key := r.Rule.ID
		if key == "" {
			key = "title " + r.Rule.Title
		}
		refused := RefusedRule{Name: r.Rule.Title, Reason: r.Reason, File: i.o.File, Line: r.Line}
		switch {
		case r.Outcome == sigma.NotApplicable:
			i.report.NotApplicable = append(i.report.NotApplicable, refused)
		case r.Outcome == sigma.Failed:
			i.report.Failed = append(i.report.Failed, refused)
		case i.seen[key]:
			i.refuse(r, "a rule of this id, or without an id of this title, stands in the text already")
		default:
			i.seen[key] = true
			fine = append(fine, r)
		}
	}
	return fine
}

func (i *importer) refuse(r sigma.Result, reason string) {
	i.report.Failed = append(i.report.Failed, RefusedRule{Name: r.Rule.Title, Reason: reason, File: i.o.File, Line: r.Line})
}

// store stores some rules in a transaction; in a dry run it is undone.
func (i *importer) store(ctx context.Context, part []sigma.Result) error {
	before := i.report
	err := i.s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, rulesLock); err != nil {
			return err
		}
		var err error
		if i.room, err = room(ctx, tx); err != nil {
			return err
		}
		for _, r := range part {
			if err := i.put(ctx, tx, r); err != nil {
				return err
			}
		}
		if i.o.DryRun {
			return errDry
		}
		return nil
	})
	switch {
	case errors.Is(err, errDry):
		return nil
	case err != nil:
		i.report = before
	}
	return err
}

var errDry error = fault.New(fault.Internal, "a dry run is undone")

// put stores one rule.
func (i *importer) put(ctx context.Context, tx *database.DB, result sigma.Result) error {
	next := derive(result, alone(result.Text))
	if err := clean(&next); err != nil {
		i.refuse(result, fault.Public(err))
		return nil
	}
	stored, found, err := storedSigma(ctx, tx, next)
	switch {
	case err != nil:
		return err
	case !found:
		return i.add(ctx, tx, result, next)
	case stored.Source == next.Source:
		i.report.Unchanged = append(i.report.Unchanged, imported(stored, result))
		return nil
	}
	return i.replace(ctx, tx, result, stored, next)
}

// alone is a document without the mark that stands before it among others, so that
// it is the same text from whichever file.
func alone(document string) string {
	if first, rest, found := strings.Cut(document, "\n"); found && strings.TrimSpace(first) == "---" {
		document = rest
	}
	return strings.TrimSpace(document) + "\n"
}

func imported(r Rule, result sigma.Result) ImportedRule {
	one := ImportedRule{ID: r.ID, Name: r.Name, Tables: []string{}, Warnings: result.Warnings, After: r.Source}
	for _, v := range result.Rule.Variants {
		one.Tables = merge(one.Tables, v.Tables)
	}
	return one
}

// storedSigma finds the rule that came as Sigma with this id or, where there is no
// id, this name.
func storedSigma(ctx context.Context, tx *database.DB, r Rule) (stored Rule, found bool, err error) {
	where, arg := "sigma_id = ?", r.SigmaID
	if r.SigmaID == "" {
		where, arg = "sigma_id = '' AND name = ?", r.Name
	}
	var ids []int64
	err = tx.Read(ctx).Raw("SELECT id FROM rules WHERE source <> '' AND "+where+" ORDER BY id LIMIT 1", arg).Scan(&ids).Error
	if err != nil || len(ids) == 0 {
		return Rule{}, false, database.Fault(err)
	}
	stored, err = readRule(ctx, tx, ids[0])
	return stored, err == nil, err
}

func (i *importer) add(ctx context.Context, tx *database.DB, result sigma.Result, r Rule) error {
	if i.o.Status != "" {
		r.Status = i.o.Status
	}
	r.Username, r.Created, r.Updated = i.o.Username, i.now, i.now
	if i.room <= 0 {
		return i.refused(result, orFull(nil))
	}
	if err := insertNamed(ctx, tx, &r); err != nil {
		return i.refused(result, err)
	}
	i.room--
	if i.o.DryRun {
		r.ID = 0
	}
	i.report.Imported = append(i.report.Imported, imported(r, result))
	return nil
}

// insertNamed stores a rule under its name, or another where it is taken.
func insertNamed(ctx context.Context, tx *database.DB, r *Rule) error {
	err := insert(ctx, tx, r)
	if fault.Is(err, fault.Conflict) && r.SigmaID != "" {
		r.Name = another(*r)
		err = insert(ctx, tx, r)
	}
	return err
}

// refused reports a rule that is wrong; other failures end the import.
func (i *importer) refused(result sigma.Result, err error) error {
	if kind := fault.KindOf(err); kind != fault.Conflict && kind != fault.Unprocessable {
		return err
	}
	i.refuse(result, fault.Public(err))
	return nil
}

func (i *importer) replace(ctx context.Context, tx *database.DB, result sigma.Result, stored, next Rule) error {
	before := stored.Source
	i.s.renewed(&stored, next)
	stored.Username, stored.Updated = i.o.Username, later(i.now, stored.Updated)
	free, err := nameFree(ctx, tx, stored)
	if err != nil {
		return err
	}
	if !free {
		return i.refused(result, taken(stored.Name))
	}
	if err := replace(ctx, tx, &stored); err != nil {
		return err
	}
	one := imported(stored, result)
	one.Before = before
	i.report.Updated = append(i.report.Updated, one)
	return nil
}

// renewed gives a stored rule a new text, keeping what people changed.
func (s *Store) renewed(stored *Rule, next Rule) {
	result, _ := s.translate(stored.Source)
	was := derive(result, stored.Source)
	if clean(&was) != nil { // nobody can tell what people changed
		was = *stored
	}
	renew(stored, was, next)
}

// nameFree reports whether no other rule has the name: on PostgreSQL, running into
// the constraint would end the transaction.
func nameFree(ctx context.Context, tx *database.DB, r Rule) (bool, error) {
	var others int64
	err := tx.Read(ctx).Raw("SELECT count(*) FROM rules WHERE name = ? AND id <> ?", r.Name, r.ID).Scan(&others).Error
	return others == 0, database.Fault(err)
}
