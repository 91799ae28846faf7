package pipeline

import (
	"bytes"
	"context"
	"encoding/json"

	"muster/server/distributed"
	"muster/server/hosts"
)

// maxCarves bounds what one answer may announce; a query starts one, or a few.
const maxCarves = 64

// announceCarves ties carves to the live query that asked for them. The agent's
// own request_id is random: the carve_guid in the answer is the only link
// (osquery-tls 5.1, 5.2).
func (p *Pipeline) announceCarves(ctx context.Context, host *hosts.Host, reports []distributed.Report) error {
	for _, report := range reports {
		if !bytes.Contains(report.Rows, []byte(`"carve_guid"`)) {
			continue
		}
		queryID, ok := distributed.QueryID(report.ID)
		if !ok {
			continue
		}
		announced := 0
		for _, row := range rowsOf(report.Rows) {
			if row["carve"] != "1" || row["carve_guid"] == "" {
				continue
			}
			if announced++; announced > maxCarves {
				p.Log.Warn("an answer announces more carves than one query starts", "host_id", host.ID, "query_id", queryID)
				break
			}
			if err := p.ours(p.Carves.Requested(ctx, host.ID, row["carve_guid"], queryID), host); err != nil {
				return err
			}
		}
	}
	return nil
}

// rowsOf decodes rows, values as strings; nothing when they are not rows.
func rowsOf(raw json.RawMessage) []map[string]string {
	var loose []map[string]any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&loose) != nil {
		return nil
	}
	rows := make([]map[string]string, 0, len(loose))
	for _, columns := range loose {
		row := make(map[string]string, len(columns))
		for name, value := range columns {
			switch v := value.(type) {
			case string:
				row[name] = v
			case json.Number:
				row[name] = v.String()
			}
		}
		rows = append(rows, row)
	}
	return rows
}
