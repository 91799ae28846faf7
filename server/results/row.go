package results

import (
	"database/sql"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"muster/server/database"
)

// Row is a stored row of a scheduled query.
type Row struct {
	ID, HostID   int64
	Name, Action string
	Columns      json.RawMessage // an object
	Decorations  json.RawMessage // an object, or nil
	Time         time.Time       // the agent's clock, to the second
	ReceivedAt   time.Time
}

// rowFields are what scanRow reads, in its order.
const rowFields = "id, host_id, name, action, columns, decorations, unix_time, received_at"

// readRows reads all rows of a statement that selects rowFields.
func readRows(statement *gorm.DB) ([]Row, error) {
	rows := []Row{}
	err := each(statement, func(found *sql.Rows) error {
		row, err := scanRow(found)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	return rows, nil
}

func scanRow(found *sql.Rows) (Row, error) {
	var r Row
	var columns, decorations string
	var unix, received int64
	if err := found.Scan(&r.ID, &r.HostID, &r.Name, &r.Action, &columns, &decorations, &unix, &received); err != nil {
		return Row{}, err
	}
	r.Columns = json.RawMessage(columns)
	if decorations != "" {
		r.Decorations = json.RawMessage(decorations)
	}
	r.Time, r.ReceivedAt = time.Unix(unix, 0).UTC(), database.FromMicros(received)
	return r, nil
}
