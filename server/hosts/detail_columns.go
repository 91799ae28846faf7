package hosts

import (
	"encoding/json"
	"reflect"
)

// detailColumns turns an answer into the columns that it changes.
func detailColumns(name string, rows []map[string]string, h *Host) map[string]any {
	sets := map[string]any{}
	if name == detailInterfaces {
		if info := jsonText(interfaces(rows)); info != string(h.NetworkInfo) {
			sets["network_info"] = info
		}
		return sets
	}
	if len(rows) == 0 || len(rows[0]) == 0 {
		return sets
	}
	row := cleanRow(rows[0])
	set := func(column, value, old string) {
		if value != "" && value != old {
			sets[column] = value
		}
	}
	var f facts
	switch name {
	case detailSystem:
		f.readSystem(row)
		set("hardware_uuid", hardwareUUID(row["uuid"]), h.HardwareUUID)
		set("hardware_serial", f.serial, h.HardwareSerial)
		set("hostname", f.hostname, h.Hostname)
		set("computer_name", f.computerName, h.ComputerName)
		set("arch", f.arch, h.Arch)
		setJSON(sets, "node_info", f.nodeInfo, h.NodeInfo)
	case detailOS:
		f.readOS(row)
		set("os_platform", f.osPlatform, h.OSPlatform)
		set("platform", f.platform, h.Platform)
		setJSON(sets, "os_info", f.osInfo, h.OSInfo)
	case detailOsquery:
		f.readAgent(row)
		set("osquery_version", f.osqueryVersion, h.OsqueryVersion)
		setJSON(sets, "osquery_info", f.osqueryInfo, h.OsqueryInfo)
	}
	return sets
}

// setJSON sets a column unless it says the same already.
func setJSON(sets map[string]any, column, text string, old json.RawMessage) {
	var one, two any
	if json.Unmarshal([]byte(text), &one) == nil && json.Unmarshal(old, &two) == nil && reflect.DeepEqual(one, two) {
		return
	}
	sets[column] = text
}

// interfaces keeps the columns of network_info, of rows that have a MAC address.
func interfaces(rows []map[string]string) []map[string]string {
	kept := []map[string]string{}
	for _, row := range rows {
		row = cleanRow(row)
		if mac := row["mac"]; mac == "" || mac == "00:00:00:00:00:00" || len(kept) == maxRows {
			continue
		}
		one := make(map[string]string, len(interfaceColumns))
		for _, column := range interfaceColumns {
			one[column] = row[column]
		}
		kept = append(kept, one)
	}
	return kept
}
