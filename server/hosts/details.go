package hosts

import (
	"context"
	"sync"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// The names of the details that hosts are asked for.
const (
	detailSystem     = "system_info"
	detailOS         = "os_version"
	detailOsquery    = "osquery_info"
	detailInterfaces = "interfaces"
)

// detailNames numbers the details.
var detailNames = [...]string{detailSystem, detailOS, detailOsquery, detailInterfaces}

const detailCount = len(detailNames)

// When a host is asked (again).
const (
	detailsEvery   = 24 * time.Hour
	detailsRetry   = 2 * time.Minute
	detailsHasty   = 3 // questions at that pace
	detailsPatient = time.Hour
)

// interfaceColumns are the columns of network_info (ESP reference, section 2.4).
var interfaceColumns = []string{
	"address", "mask", "mac", "description", "manufacturer", "connection_id", "connection_status", "enabled",
}

const interfacesFrom = ` FROM interface_details AS d JOIN interface_addresses AS a ON a.interface = d.interface ` +
	`WHERE d.mac NOT IN ('', '00:00:00:00:00:00') ORDER BY d.ibytes + d.obytes DESC LIMIT 64`

// detailSQL is the question behind a name, for a platform: some columns exist on
// Windows only.
func detailSQL(name, platform string) string {
	switch {
	case name != detailInterfaces:
		return "SELECT * FROM " + name
	case platform == "windows":
		return `SELECT a.address, a.mask, d.mac, d.description, d.manufacturer, d.connection_id, ` +
			`d.connection_status, d.enabled` + interfacesFrom
	}
	return `SELECT a.address, a.mask, d.mac, '' AS description, '' AS manufacturer, '' AS connection_id, ` +
		`'' AS connection_status, '' AS enabled` + interfacesFrom
}

// asks remembers what a host was asked and has answered since its enrolment, in
// microseconds.
type asks struct {
	mu         sync.Mutex
	enrollment int64
	asked      [detailCount]int64
	answered   [detailCount]int64
	tries      [detailCount]uint8
}

// of starts over when the host has enrolled since.
func (a *asks) of(h *Host) {
	if enrollment := database.Micros(h.LastEnrollment); a.enrollment != enrollment {
		a.enrollment = enrollment
		a.asked, a.answered, a.tries = [detailCount]int64{}, [detailCount]int64{}, [detailCount]uint8{}
	}
}

// due reports whether to ask for detail i now.
func (a *asks) due(i int, h *Host, now int64) bool {
	if last := max(database.Micros(h.DetailsAt), a.answered[i]); last != 0 && now-last < detailsEvery.Microseconds() {
		return false
	}
	wait := detailsRetry
	if a.tries[i] > detailsHasty {
		wait = detailsPatient
	}
	return a.asked[i] == 0 || now-a.asked[i] >= wait.Microseconds()
}

// DueDetails returns the details to ask a host for now, name to SQL: after its
// enrolment and then daily; nil when there are none. It remembers that it was
// called: a host that does not answer is asked again after two minutes, three
// times, and then hourly. It reads memory only.
func (s *Store) DueDetails(h *Host) map[string]string {
	e := s.reg.get(h.ID)
	if e == nil {
		return nil
	}
	h = e.host.Load()
	now := s.Now().UnixMicro()
	var due map[string]string
	e.asks.mu.Lock()
	defer e.asks.mu.Unlock()
	e.asks.of(h)
	for i, name := range detailNames {
		if !e.asks.due(i, h, now) {
			continue
		}
		e.asks.asked[i] = now
		e.asks.tries[i] = min(e.asks.tries[i]+1, detailsHasty+1)
		if due == nil {
			due = make(map[string]string, detailCount)
		}
		due[name] = detailSQL(name, h.Platform)
	}
	return due
}

// SaveDetail keeps the answer to a detail of DueDetails. Columns that are not
// known are kept or ignored, never refused. Faults: Invalid for another name,
// NotFound for a host that is unknown or deleted, Busy, Internal.
func (s *Store) SaveDetail(ctx context.Context, hostID int64, name string, rows []map[string]string) error {
	number := -1
	for i, known := range detailNames {
		if known == name {
			number = i
		}
	}
	if number < 0 {
		return fault.New(fault.Invalid, "there is no such detail")
	}
	host, err := s.FindByID(ctx, hostID)
	if err != nil {
		return err
	}
	e := s.reg.get(hostID)
	if e == nil {
		return ErrNoHost // seen by a transaction only
	}
	sets := detailColumns(name, rows, host)
	if e.asks.lastOf(host, number) {
		sets["details_at"] = s.Now().UnixMicro()
	}
	if len(sets) > 0 {
		err = s.change(ctx, row{hostID, visible, ErrNoHost}, func(tx *database.DB) error {
			return database.Fault(tx.Write(ctx).Table("hosts").Where("id = ?", hostID).Updates(sets).Error)
		})
	}
	if err == nil {
		e.asks.answer(host, number, s.Now().UnixMicro())
	}
	return err
}

// lastOf reports whether an answer to detail number is the last one missing
// since all were answered before.
func (a *asks) lastOf(h *Host, number int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(h)
	for i := range detailNames {
		if i != number && a.answered[i] <= database.Micros(h.DetailsAt) {
			return false
		}
	}
	return true
}

func (a *asks) answer(h *Host, number int, now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(h)
	a.answered[number], a.tries[number] = now, 0
}
