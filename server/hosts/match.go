package hosts

import (
	"context"
	"strings"
	"time"

	"muster/server/database"
)

// silence is how long a host must not have been heard from before another
// instance with its hardware and names counts as the same machine, re-installed.
const silence = 15 * time.Minute

// kinLimit bounds the hosts that are compared with a newcomer: a bad image may
// have spread one hardware uuid over many machines.
const kinLimit = 1000

// known is what enrolment needs to know of a host in the register.
type known struct {
	ID                                                             int64
	Identifier, InstanceID, HardwareUUID, HardwareSerial, Hostname string
	State                                                          State
	MayEnroll, LastCheckin                                         int64
}

const knownColumns = "SELECT id, identifier, instance_id, hardware_uuid, hardware_serial, hostname, state, may_enroll, last_checkin FROM hosts "

// verdict says what becomes of an enrolment.
type verdict struct {
	refused bool
	host    *known // whose row it takes; nil = a new row
	anew    bool   // the row starts over: the host had been deleted
	cloneOf int64
}

// match decides who enrols. same is the host with the agent's instance id, kin
// are the hosts that may be the same machine otherwise, by id: those with its
// hardware uuid, or, where it has none, those without one under its identifier.
func match(f facts, same *known, kin []known, now time.Time) verdict {
	switch {
	case same != nil:
		return judge(same)
	case f.instanceID == "":
		return matchOldAgent(f, kin)
	}
	var refused, anew *known
	for i := range kin {
		switch k := &kin[i]; {
		case !k.sameMachine(f):
		case judge(k).refused:
			refused = k
		case judge(k).anew:
			anew = k
		case k.InstanceID == "" || now.Sub(database.FromMicros(k.LastCheckin)) >= silence:
			// Re-installed, or updated from an agent that told no instance id.
			return verdict{host: k}
		}
	}
	if refused != nil {
		// A fresh install must not bring back what was removed.
		return verdict{refused: true}
	}
	if anew != nil {
		return verdict{host: anew, anew: true}
	}
	return verdict{cloneOf: original(f, kin)}
}

// matchOldAgent takes agents that tell no instance id: the hardware uuid, else
// the identifier, is all there is to go by.
func matchOldAgent(f facts, kin []known) verdict {
	for i := range kin {
		if kin[i].sameMachine(f) {
			return judge(&kin[i])
		}
	}
	if len(kin) > 0 {
		return judge(&kin[0])
	}
	return verdict{}
}

func judge(k *known) verdict {
	switch {
	case k.State == Active:
		return verdict{host: k}
	case k.State == Deleted && k.MayEnroll != 0:
		return verdict{host: k, anew: true}
	}
	return verdict{refused: true}
}

// original is the first host with the newcomer's hardware uuid, 0 when there is
// none that anybody can see.
func original(f facts, kin []known) int64 {
	for _, k := range kin {
		if f.uuid != "" && k.State != Deleted {
			return k.ID
		}
	}
	return 0
}

func (k *known) sameMachine(f facts) bool {
	return strings.EqualFold(k.HardwareSerial, f.serial) && strings.EqualFold(k.Hostname, f.hostname)
}

// candidates reads from the register what match compares. Times in memory that
// are not written yet count.
func (s *Store) candidates(ctx context.Context, tx *database.DB, f facts) (same *known, kin []known, err error) {
	read := func(condition string, args ...any) (rows []known) {
		if err == nil {
			err = database.Fault(tx.Read(ctx).Raw(knownColumns+condition, args...).Scan(&rows).Error)
		}
		return rows
	}
	if f.instanceID != "" {
		if rows := read("WHERE instance_id = ? ORDER BY id DESC LIMIT 1", f.instanceID); len(rows) > 0 {
			return &rows[0], nil, err
		}
	}
	if f.uuid != "" {
		kin = read("WHERE hardware_uuid = ? ORDER BY id LIMIT ?", f.uuid, kinLimit)
	}
	switch {
	case len(kin) > 0:
	case f.instanceID == "" && f.uuid == "":
		kin = read("WHERE identifier = ?", f.identifier)
	case f.instanceID == "" || f.uuid == "":
		kin = read("WHERE identifier = ? AND hardware_uuid = ''", f.identifier)
	}
	for i := range kin {
		if e := s.reg.get(kin[i].ID); e != nil {
			kin[i].LastCheckin = max(kin[i].LastCheckin, e.contacts.at[timeCheckin].Load())
		}
	}
	return nil, kin, err
}
