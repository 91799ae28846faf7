package yara

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// ScanStatus says how the scan of a carve ended.
type ScanStatus string

// The states.
const (
	Scanned    ScanStatus = "scanned"
	ScanFailed ScanStatus = "failed" // it crashed, took too much, or the file is gone
)

// CarveScan is the last scan of a carve.
type CarveScan struct {
	CarveID   int64
	SetSHA256 string // of the files that it was scanned with: see SetDigest
	Status    ScanStatus
	Members   int
	Matches   int
	Error     string // for people: what failed, or could not be looked at
	At        time.Time
}

// Sources returns all files to scan with, as they are in memory, and what stands for
// them: a digest that changes when one is added, replaced or deleted.
func (s *Store) Sources() (sources []Source, digest string) {
	sum := sha256.New()
	for _, f := range s.current.Load().files {
		sources = append(sources, Source{Name: f.Name, Content: string(f.text)})
		fmt.Fprintf(sum, "%s %s\n", f.Name, f.SHA256)
	}
	return sources, hex.EncodeToString(sum.Sum(nil))
}

// Unscanned returns those of the carves that were not scanned with the files that
// the digest stands for. Faults: those of the database.
func (s *Store) Unscanned(ctx context.Context, carveIDs []int64, digest string) ([]int64, error) {
	var done []int64
	if len(carveIDs) == 0 {
		return nil, nil
	}
	err := s.db.Read(ctx).Raw("SELECT carve_id FROM carve_scans WHERE set_sha256 = ? AND carve_id IN ?", digest, carveIDs).Scan(&done).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	return slices.DeleteFunc(slices.Clone(carveIDs), func(id int64) bool { return slices.Contains(done, id) }), nil
}

// SaveScan stores how the scan of a carve ended, in place of the one before. The
// time is now. Faults: Conflict when the carve is gone, those of the database.
func (s *Store) SaveScan(ctx context.Context, scan CarveScan) error {
	return database.Fault(s.db.Write(ctx).Exec(`INSERT INTO carve_scans (carve_id, set_sha256, status, members, matches, error, scanned_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (carve_id) DO UPDATE SET set_sha256 = excluded.set_sha256, status = excluded.status,
		members = excluded.members, matches = excluded.matches, error = excluded.error, scanned_at = excluded.scanned_at`,
		scan.CarveID, scan.SetSHA256, scan.Status, scan.Members, scan.Matches, scan.Error, database.Micros(s.now())).Error)
}

// FindScan returns the last scan of a carve. Faults: NotFound.
func (s *Store) FindScan(ctx context.Context, carveID int64) (CarveScan, error) {
	var rows []struct {
		CarveID, ScannedAt int64
		SetSHA256          string `gorm:"column:set_sha256"`
		Status             ScanStatus
		Members, Matches   int
		Error              string
	}
	err := s.db.Read(ctx).Raw("SELECT carve_id, set_sha256, status, members, matches, error, scanned_at FROM carve_scans WHERE carve_id = ?", carveID).Scan(&rows).Error
	if err != nil {
		return CarveScan{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return CarveScan{}, fault.New(fault.NotFound, "The carve was not scanned yet")
	}
	r := rows[0]
	return CarveScan{r.CarveID, r.SetSHA256, r.Status, r.Members, r.Matches, r.Error, database.FromMicros(r.ScannedAt)}, nil
}

// With returns the store inside a transaction, for SaveScan.
func (s *Store) With(tx *database.DB) *Store { return &Store{db: tx, now: s.now} }
