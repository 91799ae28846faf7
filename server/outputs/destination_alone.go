package outputs

import (
	"context"
	"path/filepath"

	"muster/server/database"
	"muster/server/fault"
)

// place is the file as it is compared.
func (s *fileSettings) place(o DestinationOptions) string {
	if s.locate(o) != nil { // the server was started with other settings
		return filepath.Clean(s.Path)
	}
	return filepath.Join(s.folder, s.name)
}

// alone keeps two destinations from writing one file: each would put aside, and after
// a failure cut off, what the other writes.
func (d *Destinations) alone(ctx context.Context, tx *database.DB, row destinationRow) error {
	ours, file := d.file(row)
	if !file {
		return nil
	}
	rows, err := d.rows(ctx, tx, "WHERE kind = 'file' AND id <> ?", row.ID)
	for _, other := range rows {
		if theirs, _ := d.file(other); theirs == ours {
			return fault.New(fault.Conflict, "The destination %s writes this file already", other.Name)
		}
	}
	return err
}

// file is the file that a destination writes; false: it writes none.
func (d *Destinations) file(row destinationRow) (string, bool) {
	s, err := storedSettings(row.Kind, row.Settings)
	f, is := s.(*fileSettings)
	if err != nil || !is {
		return "", false
	}
	return f.place(d.o), true
}
