package adminapi

import (
	"context"

	"muster/server/fault"
	"muster/server/osquery"
)

func (a *api) schemaRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/schema", in, handle(a, a.viewSchema), "View the tables of osquery"},
		{"GET", "/schema/{table}", in, handle(a, a.viewTable), "View a table of osquery"},
	}
}

// tableNote is what CREATE TABLE cannot say about a table; it is ours.
type tableNote struct {
	Platforms []string `json:"platforms"`
	Evented   bool     `json:"evented"`
	Aliases   []string `json:"aliases"`
}

// tableView is a table in the form that export_type=json asks for (esp-api 1.8);
// evented and aliases are ours. There are no descriptions to give.
type tableView struct {
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Platform    []string              `json:"platform"`
	Evented     bool                  `json:"evented"`
	Aliases     []string              `json:"aliases"`
	Schema      map[string]columnView `json:"schema"`
}

type columnView struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	IsRequired  bool   `json:"is_required"`
	IsHidden    bool   `json:"is_hidden"`
}

type viewSchemaRequest struct {
	ExportType string `arg:"export_type,default=sql,choices=sql|json"`
}

// schemaAnswer has its data in one of two shapes: an object of statements by
// table, or a list of tableView.
type schemaAnswer struct {
	said
	Data   any                  `json:"data"`
	Tables map[string]tableNote `json:"tables,omitempty"` // beside statements
}

func (a *api) viewSchema(_ context.Context, r viewSchemaRequest) (schemaAnswer, error) {
	const fetched = "Successfully fetched the schema"
	if r.ExportType == "json" {
		views := []tableView{}
		for _, table := range osquery.Tables() {
			views = append(views, viewColumns(table))
		}
		return schemaAnswer{said: succeeded(fetched), Data: views}, nil
	}
	statements, notes := map[string]string{}, map[string]tableNote{}
	for _, table := range osquery.Tables() {
		statements[table.Name], notes[table.Name] = table.DDL(), noteOf(table)
	}
	return schemaAnswer{said: succeeded(fetched), Data: statements, Tables: notes}, nil
}

type viewTableRequest struct {
	Table string `path:"table"`
}

// tableAnswer names the table by its real name, which an alias is not.
type tableAnswer struct {
	said
	Data   map[string]string    `json:"data"`
	Tables map[string]tableNote `json:"tables"`
}

func (a *api) viewTable(_ context.Context, r viewTableRequest) (tableAnswer, error) {
	table, found := osquery.Find(r.Table)
	if !found {
		return tableAnswer{}, fault.New(fault.NotFound, "Table with this name does not exist")
	}
	return tableAnswer{
		said: succeeded("Successfully fetched the table schema"),
		Data: map[string]string{table.Name: table.DDL()}, Tables: map[string]tableNote{table.Name: noteOf(table)},
	}, nil
}

func noteOf(table osquery.Table) tableNote {
	return tableNote{Platforms: table.Platforms, Evented: table.Evented, Aliases: list(table.Aliases)}
}

func viewColumns(table osquery.Table) tableView {
	view := tableView{
		Name: table.Name, Platform: table.Platforms, Evented: table.Evented, Aliases: list(table.Aliases),
		Schema: make(map[string]columnView, len(table.Columns)),
	}
	for _, column := range table.Columns {
		view.Schema[column.Name] = columnView{Type: column.Type, IsRequired: column.Required, IsHidden: column.Hidden}
	}
	return view
}
