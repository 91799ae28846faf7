package outputs

import (
	"encoding/json"
	"time"

	"muster/server/hosts"
)

// flatLine is a line in the form of the original server (ESP reference, section 3):
// one object, with the columns among the fields.
type flatLine map[string]any

// espLine has what every line of that form says.
func espLine(kind string, h *hosts.Host, at, created time.Time) flatLine {
	flat := flatLine{
		"@version": 1, "@host_identifier": hostKey(h), "@timestamp": lineTime(at), "log_type": kind, "created": lineTime(created),
		"platform": h.Platform, "is_active": h.State == hosts.Active, "last_ip": h.LastIP, "computername": h.DisplayName(), "last_checkin": nil,
	}
	if !h.LastCheckin.IsZero() {
		flat["last_checkin"] = lineTime(h.LastCheckin)
	}
	var system struct{ Name, Version string }
	var machine struct {
		Model  string `json:"hardware_model"`
		Vendor string `json:"hardware_vendor"`
		Cores  any    `json:"cpu_physical_cores"`
	}
	_ = json.Unmarshal(h.OSInfo, &system) // what is not known stays empty
	_ = json.Unmarshal(h.NodeInfo, &machine)
	flat["osname"], flat["version"] = system.Name, system.Version
	flat["hardware_model"], flat["hardware_vendor"], flat["cpu_physical_cores"] = machine.Model, machine.Vendor, machine.Cores
	return flat
}

// columns puts columns among the fields, or only their size when the line has to do
// without them. One with the name of a field keeps its value under column_NAME: the
// original loses one of the two.
func (f flatLine) columns(raw json.RawMessage, whole bool) {
	if !whole {
		f["omitted_bytes"] = len(raw)
		return
	}
	var columns map[string]json.RawMessage
	if json.Unmarshal(raw, &columns) != nil {
		f["columns"] = string(raw)
		return
	}
	own := make(map[string]bool, len(f))
	for name := range f {
		own[name] = true
	}
	for name, value := range columns {
		if own[name] {
			name = "column_" + name
		}
		f[name] = value
	}
}
