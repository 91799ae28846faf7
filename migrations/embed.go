// Package migrations holds the schema, written by hand for both engines. The
// files of one number describe the same change; a test compares the results.
package migrations

import "embed"

// Files holds the folders postgres and sqlite.
//
//go:embed postgres/*.sql sqlite/*.sql
var Files embed.FS
