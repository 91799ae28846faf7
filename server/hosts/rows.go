package hosts

import (
	"context"
	"encoding/json"
	"slices"

	"muster/server/database"
)

// hostColumns are the columns of a snapshot. host_details, the raw words of the
// enrolment, stay in the database.
const hostColumns = `id, identifier, instance_id, hardware_uuid, hardware_serial, hostname, computer_name,
	platform, os_platform, arch, osquery_version, state, may_enroll, clone_of, last_ip,
	os_info, node_info, network_info, osquery_info, details_at, enrolled_on, updated_at, last_enrollment,
	last_checkin, last_status, last_result, last_config, last_query_read, last_query_write`

// readChunk bounds the ids in one statement.
const readChunk = 500

type hostRow struct {
	ID                                                                             int64
	Identifier, InstanceID, HardwareUUID, HardwareSerial                           string
	Hostname, ComputerName, Platform, OSPlatform, Arch, OsqueryVersion             string
	State                                                                          string
	MayEnroll, CloneOf                                                             int64
	LastIP, OSInfo, NodeInfo, NetworkInfo, OsqueryInfo                             string
	DetailsAt, EnrolledOn, UpdatedAt, LastEnrollment                               int64
	LastCheckin, LastStatus, LastResult, LastConfig, LastQueryRead, LastQueryWrite int64
}

// record is a host as stored: its row, its tags and its keys.
type record struct {
	host *Host
	keys []storedKey
}

type storedKey struct {
	hash       keyHash
	validUntil int64 // microseconds; 0 = current
}

// readHosts reads the hosts with these ids. The rows are read before the tags and
// keys that hang on them: since every change of those raises the row's version, a
// record may be newer than its version says, never older.
func readHosts(ctx context.Context, db *database.DB, ids []int64) ([]record, error) {
	records := make([]record, 0, len(ids))
	for len(ids) > 0 {
		chunk := ids[:min(readChunk, len(ids))]
		ids = ids[len(chunk):]
		var rows []hostRow
		if err := db.Read(ctx).Raw("SELECT "+hostColumns+" FROM hosts WHERE id IN ?", chunk).Scan(&rows).Error; err != nil {
			return nil, database.Fault(err)
		}
		read, err := withRelations(ctx, db, rows)
		if err != nil {
			return nil, err
		}
		records = append(records, read...)
	}
	return records, nil
}

func withRelations(ctx context.Context, db *database.DB, rows []hostRow) ([]record, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	var tags []struct {
		HostID, TagID int64
		Value         string
	}
	if err := db.Read(ctx).Raw(`SELECT ht.host_id, ht.tag_id, t.value FROM host_tags AS ht JOIN tags AS t ON t.id = ht.tag_id
		WHERE ht.host_id IN ?`, ids).Scan(&tags).Error; err != nil {
		return nil, database.Fault(err)
	}
	var keys []struct {
		HostID, ValidUntil int64
		KeyHash            []byte
	}
	if err := db.Read(ctx).Raw("SELECT host_id, valid_until, key_hash FROM node_keys WHERE host_id IN ?", ids).Scan(&keys).Error; err != nil {
		return nil, database.Fault(err)
	}
	tagsOf, tagIDsOf, keysOf := map[int64][]string{}, map[int64][]int64{}, map[int64][]storedKey{}
	for _, tag := range tags {
		tagsOf[tag.HostID] = append(tagsOf[tag.HostID], tag.Value)
		tagIDsOf[tag.HostID] = append(tagIDsOf[tag.HostID], tag.TagID)
	}
	for _, key := range keys {
		if len(key.KeyHash) == len(keyHash{}) {
			keysOf[key.HostID] = append(keysOf[key.HostID], storedKey{keyHash(key.KeyHash), key.ValidUntil})
		}
	}
	records := make([]record, len(rows))
	for i, row := range rows {
		slices.Sort(tagsOf[row.ID])
		slices.Sort(tagIDsOf[row.ID])
		h := row.snapshot()
		h.Tags, h.TagIDs = tagsOf[row.ID], tagIDsOf[row.ID]
		records[i] = record{host: h, keys: keysOf[row.ID]}
	}
	return records, nil
}

func (r hostRow) snapshot() *Host {
	h := &Host{
		ID: r.ID, Identifier: r.Identifier, InstanceID: r.InstanceID, HardwareUUID: r.HardwareUUID,
		HardwareSerial: r.HardwareSerial, Hostname: r.Hostname, ComputerName: r.ComputerName,
		Platform: r.Platform, OSPlatform: r.OSPlatform, Arch: r.Arch, OsqueryVersion: r.OsqueryVersion,
		State: State(r.State), MayEnroll: r.MayEnroll != 0, CloneOf: r.CloneOf, LastIP: r.LastIP,
		OSInfo: json.RawMessage(r.OSInfo), NodeInfo: json.RawMessage(r.NodeInfo),
		NetworkInfo: json.RawMessage(r.NetworkInfo), OsqueryInfo: json.RawMessage(r.OsqueryInfo),
		DetailsAt: database.FromMicros(r.DetailsAt), EnrolledOn: database.FromMicros(r.EnrolledOn),
		LastEnrollment: database.FromMicros(r.LastEnrollment), version: r.UpdatedAt,
	}
	contactTimes{r.LastCheckin, r.LastStatus, r.LastResult, r.LastConfig, r.LastQueryRead, r.LastQueryWrite}.onto(h)
	h.prepare()
	return h
}
