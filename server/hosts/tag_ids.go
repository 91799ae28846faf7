package hosts

import (
	"context"

	"muster/server/database"
)

// TagIDs returns the ids of the tags of every host that has any, sorted. Unlike
// Host.TagIDs they are as stored now: inside With, as they would be after it.
// Faults: Busy, Internal.
func (s *Store) TagIDs(ctx context.Context) (map[int64][]int64, error) {
	var rows []struct{ HostID, TagID int64 }
	err := s.db.Read(ctx).Raw("SELECT host_id, tag_id FROM host_tags ORDER BY host_id, tag_id").Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	ids := map[int64][]int64{}
	for _, row := range rows {
		ids[row.HostID] = append(ids[row.HostID], row.TagID)
	}
	return ids, nil
}
