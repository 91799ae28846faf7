package hosts

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// admitTries is how often an enrolment is tried when another one takes the same
// identifier in between.
const admitTries = 3

// admit writes an enrolment that passed the checks: one transaction.
func (s *Store) admit(ctx context.Context, f facts, secret liveSecret) (done enrolled, err error) {
	done.nodeKey = newNodeKey()
	for range admitTries {
		var records []record
		err = s.db.Tx(ctx, func(tx *database.DB) error {
			a := admission{facts: f, secret: secret, now: s.Now(), tx: tx}
			records, err = s.admitIn(ctx, &a, hashKey(done.nodeKey))
			return err
		})
		if err == nil {
			s.show(records)
			s.secrets.used(secret.id, use{1, s.Now().UnixMicro()})
			done.host = records[0].host
			return done, nil
		}
		if err = database.Fault(err); !fault.Is(err, fault.Conflict) {
			return enrolled{}, err
		}
	}
	return enrolled{}, fault.Wrap(err, fault.Busy, "the server is busy")
}

// admission is one enrolment inside its transaction.
type admission struct {
	facts
	secret liveSecret
	now    time.Time
	tx     *database.DB
}

func (s *Store) admitIn(ctx context.Context, a *admission, key keyHash) ([]record, error) {
	if err := a.lock(ctx); err != nil {
		return nil, err
	}
	same, kin, err := s.candidates(ctx, a.tx, a.facts)
	if err != nil {
		return nil, err
	}
	v := match(a.facts, same, kin, a.now)
	if v.refused {
		return nil, ErrRefused
	}
	id, err := a.write(ctx, v)
	if err != nil {
		return nil, err
	}
	if err := a.tag(ctx, id, v); err != nil {
		return nil, err
	}
	if v.host != nil {
		if err := a.retireKeys(ctx, id, s.KeyGrace); err != nil {
			return nil, err
		}
	}
	// gorm would spread bytes that stand right behind a parenthesis: the host first.
	if err := a.tx.Write(ctx).Exec("INSERT INTO node_keys (host_id, key_hash, created_at) VALUES (?, ?, ?)",
		id, key[:], a.now.UnixMicro()).Error; err != nil {
		return nil, database.Fault(err)
	}
	return readHosts(ctx, a.tx, []int64{id})
}

// lock keeps enrolments with a name in common from running side by side, so that
// two clones see each other. SQLite has one writer anyway.
func (a *admission) lock(ctx context.Context) error {
	if a.tx.Engine() != database.Postgres {
		return nil
	}
	var numbers []int32
	for i, name := range []string{a.instanceID, a.uuid, a.identifier} {
		if name != "" {
			sum := digest(strconv.Itoa(i), name)
			numbers = append(numbers, int32(binary.BigEndian.Uint32(sum[:])|1<<16)) // never flushLock
		}
	}
	slices.Sort(numbers) // one order for all: no deadlock
	return lockPostgres(ctx, a.tx, slices.Compact(numbers)...)
}

func (a *admission) write(ctx context.Context, v verdict) (id int64, err error) {
	identifier, err := a.freeIdentifier(ctx, v.host)
	if err != nil {
		return 0, err
	}
	if v.host == nil {
		return a.insert(ctx, identifier, v.cloneOf)
	}
	return v.host.ID, a.update(ctx, identifier, v)
}

func (a *admission) insert(ctx context.Context, identifier string, cloneOf int64) (id int64, err error) {
	at := a.now.UnixMicro()
	err = a.tx.Write(ctx).Raw(`INSERT INTO hosts (identifier, instance_id, hardware_uuid, hardware_serial, hostname,
			computer_name, platform, os_platform, arch, osquery_version, clone_of, secret_id, last_ip,
			os_info, node_info, osquery_info, host_details, enrolled_on, updated_at, last_enrollment, last_checkin)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		identifier, a.instanceID, a.uuid, a.serial, a.hostname,
		a.computerName, first(a.platform, "linux"), a.osPlatform, a.arch, a.osqueryVersion, cloneOf, a.secret.id, a.address,
		first(a.osInfo, "{}"), first(a.nodeInfo, "{}"), first(a.osqueryInfo, "{}"), first(a.details, "{}"), at, at, at, at).Scan(&id).Error
	return id, database.Fault(err)
}

// update takes the row of a known host. What the agent did not tell stays.
func (a *admission) update(ctx context.Context, identifier string, v verdict) error {
	at, id := a.now.UnixMicro(), v.host.ID
	sets := []string{"identifier = ?", "secret_id = ?", "enrollments = enrollments + 1", "last_enrollment = ?",
		"last_checkin = CASE WHEN last_checkin < ? THEN ? ELSE last_checkin END", "details_at = 0"}
	args := []any{identifier, a.secret.id, at, at, at}
	for _, told := range []struct{ column, value string }{
		{"instance_id", a.instanceID}, {"hardware_uuid", a.uuid}, {"hardware_serial", a.serial}, {"hostname", a.hostname},
		{"computer_name", a.computerName}, {"platform", a.platform}, {"os_platform", a.osPlatform}, {"arch", a.arch},
		{"osquery_version", a.osqueryVersion}, {"last_ip", a.address}, {"os_info", a.osInfo}, {"node_info", a.nodeInfo},
		{"osquery_info", a.osqueryInfo}, {"host_details", a.details},
	} {
		if told.value != "" {
			sets, args = append(sets, told.column+" = ?"), append(args, told.value)
		}
	}
	if v.anew {
		sets = append(sets, "state = 'active'", "may_enroll = 0", "clone_of = 0", "network_info = '[]'", "enrolled_on = ?")
		args = append(args, at)
	}
	err := a.tx.Write(ctx).Exec("UPDATE hosts SET "+strings.Join(sets, ", ")+" WHERE id = ?", append(args, id)...).Error
	if err != nil {
		return database.Fault(err)
	}
	_, err = raise(ctx, a.tx, row{id: id}, a.now)
	return err
}

// tag gives a host that starts (over) the tags of its secret.
func (a *admission) tag(ctx context.Context, id int64, v verdict) error {
	if v.host != nil && !v.anew {
		return nil
	}
	if v.anew {
		if err := a.tx.Write(ctx).Exec("DELETE FROM host_tags WHERE host_id = ?", id).Error; err != nil {
			return database.Fault(err)
		}
	}
	tags, err := a.secretTags(ctx)
	if err != nil || len(tags) == 0 {
		return err
	}
	for _, tag := range tags {
		if err := putTag(ctx, a.tx, id, tag, a.now); err != nil {
			return err
		}
	}
	// A tag that was renamed or deleted since must not come back under its old
	// name. From here on nobody can: the rows above hold on to the tags.
	again, err := a.secretTags(ctx)
	if err == nil && !slices.Equal(tags, again) {
		err = fault.New(fault.Conflict, "the tags of the enrol secret changed")
	}
	return err
}

// secretTags reads the tags of the secret as they are now: those in memory may
// have been renamed by another replica.
func (a *admission) secretTags(ctx context.Context) ([]string, error) {
	var rows []secretRow
	err := a.tx.Read(ctx).Raw("SELECT id, tags FROM enroll_secrets WHERE id = ?", a.secret.id).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, database.Fault(err)
	}
	return rows[0].tags(), nil
}

// retireKeys lets the keys of a known host end after the grace. Those that ended
// already go, so that a host that enrols all the time does not gather them.
func (a *admission) retireKeys(ctx context.Context, id int64, grace time.Duration) error {
	at := a.now.UnixMicro()
	if err := a.tx.Write(ctx).Exec("DELETE FROM node_keys WHERE host_id = ? AND valid_until <> 0 AND valid_until < ?",
		id, at).Error; err != nil {
		return database.Fault(err)
	}
	return database.Fault(a.tx.Write(ctx).Exec("UPDATE node_keys SET valid_until = ? WHERE host_id = ? AND valid_until = 0",
		at+grace.Microseconds(), id).Error)
}
