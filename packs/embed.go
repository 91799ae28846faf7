// Package packs holds the query packs and default configs that ship with the
// server: facts for agents, written as data. See README.md for what each is for.
//
// It knows nothing of how they are stored or sent.
package packs

import "embed"

// Files holds NAME.json, packs in osquery's own format, configs/PLATFORM.json, the
// default config of a platform, and configs/windows-deep.json: options, queries (each with a status) and
// filters (further top-level keys of an osquery config).
//
//go:embed *.json configs/*.json
var Files embed.FS
