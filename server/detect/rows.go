package detect

import (
	"context"
	"encoding/json"
	"slices"

	"muster/server/database"
	"muster/server/fault"
)

// ruleRow is a row of the table rules.
type ruleRow struct {
	ID                                        int64
	Name, Description, Severity, Status, Type string
	TechniqueIDs                              string `gorm:"column:technique_ids"`
	Tactics, Alerters, Conditions             string
	ReconQueries                              string
	SigmaID                                   string
	Source, Shipped                           string
	ShippedSHA256                             string `gorm:"column:shipped_sha256"`
	Username                                  string
	CreatedAt, UpdatedAt                      int64
}

const ruleColumns = `id, name, description, severity, status, type, technique_ids, tactics, alerters, conditions, recon_queries,
	sigma_id, source, shipped, shipped_sha256, username, created_at, updated_at`

func (r *ruleRow) rule() Rule {
	return Rule{
		ID: r.ID, Name: r.Name, Description: r.Description, Severity: r.Severity, Status: r.Status, Type: r.Type,
		TechniqueIDs: texts(r.TechniqueIDs), Tactics: texts(r.Tactics), Alerters: texts(r.Alerters),
		Conditions: json.RawMessage(r.Conditions), ReconQueries: json.RawMessage(r.ReconQueries),
		SigmaID: r.SigmaID, Source: r.Source, Shipped: r.Shipped, shippedSHA256: r.ShippedSHA256, Username: r.Username,
		Created: database.FromMicros(r.CreatedAt), Updated: database.FromMicros(r.UpdatedAt),
	}
}

// texts reads a stored list; one that is none is empty.
func texts(stored string) []string {
	list := []string{}
	if json.Unmarshal([]byte(stored), &list) != nil || list == nil {
		return []string{}
	}
	return list
}

func textOf(list []string) string {
	text, _ := json.Marshal(list) // a list of texts cannot fail
	return string(text)
}

// readAtOnce is how many rules one statement reads.
const readAtOnce = 500

// readRules returns the rules with these ids, in the order of the ids; those that
// are gone are left out.
func readRules(ctx context.Context, db *database.DB, ids []int64) ([]Rule, error) {
	rules := make([]Rule, 0, len(ids))
	for part := range slices.Chunk(ids, readAtOnce) {
		var rows []ruleRow
		if err := db.Read(ctx).Raw("SELECT "+ruleColumns+" FROM rules WHERE id IN ?", part).Scan(&rows).Error; err != nil {
			return nil, database.Fault(err)
		}
		found := make(map[int64]*ruleRow, len(rows))
		for i := range rows {
			found[rows[i].ID] = &rows[i]
		}
		for _, id := range part {
			if row := found[id]; row != nil {
				rules = append(rules, row.rule())
			}
		}
	}
	return rules, nil
}

// errUnknown is in the words of the original API (esp-api 1.9).
var errUnknown error = fault.New(fault.NotFound, "Rule with this id does not exist")

func readRule(ctx context.Context, db *database.DB, id int64) (Rule, error) {
	rules, err := readRules(ctx, db, []int64{id})
	if err == nil && len(rules) == 0 {
		err = errUnknown
	}
	if err != nil {
		return Rule{}, err
	}
	return rules[0], nil
}

// insert stores a new rule and gives it its id. Faults: Conflict when the name is taken.
func insert(ctx context.Context, tx *database.DB, r *Rule) error {
	var ids []int64
	err := tx.Write(ctx).Raw(`
		INSERT INTO rules (name, description, severity, status, type, technique_ids, tactics, alerters, conditions, recon_queries,
			sigma_id, source, shipped, shipped_sha256, username, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING RETURNING id`, append(r.values(), database.Micros(r.Created), database.Micros(r.Updated))...).Scan(&ids).Error
	switch {
	case err != nil:
		return database.Fault(err)
	case len(ids) == 0:
		return taken(r.Name)
	}
	r.ID = ids[0]
	return nil
}

// values are the columns from name to username.
func (r *Rule) values() []any {
	conditions := string(r.Conditions)
	if r.Source != "" {
		conditions = "{}" // they follow from the source
	}
	return []any{
		r.Name, r.Description, r.Severity, r.Status, r.Type, textOf(r.TechniqueIDs), textOf(r.Tactics), textOf(r.Alerters), conditions,
		string(r.ReconQueries), r.SigmaID, r.Source, r.Shipped, r.shippedSHA256, r.Username,
	}
}

// replace writes a rule over the one with its id. Faults: Conflict when another has its name.
func replace(ctx context.Context, tx *database.DB, r *Rule) error {
	err := database.Fault(tx.Write(ctx).Exec(`
		UPDATE rules SET name = ?, description = ?, severity = ?, status = ?, type = ?, technique_ids = ?, tactics = ?, alerters = ?, conditions = ?,
			recon_queries = ?, sigma_id = ?, source = ?, shipped = ?, shipped_sha256 = ?, username = ?, updated_at = ? WHERE id = ?`,
		append(r.values(), database.Micros(r.Updated), r.ID)...).Error)
	if fault.Is(err, fault.Conflict) {
		return taken(r.Name)
	}
	return err
}

// taken is in the words of the original API.
func taken(name string) error {
	return fault.New(fault.Conflict, "Rule with the name %s already exists!", name)
}
