package hosts

import (
	"strconv"
	"strings"
)

// Enrollment is what an agent sends to enrol.
type Enrollment struct {
	Secret       string
	Identifier   string // host_identifier
	PlatformType string // bit mask in decimal (osquery reference, section 1.1)
	Address      string // where the request came from
	// Details holds the first row of each table that the agent sent, all strings.
	// Any table may be missing.
	Details map[string]map[string]string
}

// facts are an Enrollment's words, cleaned and bounded. Empty = not told.
type facts struct {
	identifier, instanceID, uuid, serial       string
	hostname, computerName                     string
	platform, osPlatform, arch, osqueryVersion string
	address                                    string
	osInfo, nodeInfo, osqueryInfo, details     string // JSON
}

// nodeColumns are the columns of system_info that node_info keeps: those of the
// original (ESP reference, section 2.1, rule 6) and a few that people look for.
var nodeColumns = []string{
	"computer_name", "hostname", "hardware_vendor", "hardware_model", "hardware_version", "hardware_serial", "uuid",
	"cpu_type", "cpu_brand", "cpu_physical_cores", "physical_memory", "mac",
}

// placeholders are hardware UUIDs that vendors ship in many machines.
var placeholders = map[string]bool{
	"03000200-0400-0500-0006-000700080009": true,
	"03020100-0504-0706-0809-0a0b0c0d0e0f": true,
	"10000000-0000-8000-0040-000000000000": true,
	"fefefefe-fefe-fefe-fefe-fefefefefefe": true,
	"not settable":                         true,
	"not specified":                        true,
	"not available":                        true,
	"default string":                       true,
	"to be filled by o.e.m.":               true,
	"none":                                 true,
	"unknown":                              true,
}

// hardwareUUID normalises a hardware UUID; a placeholder is none.
func hardwareUUID(reported string) string {
	uuid := strings.ToLower(identity(reported, maxUUID))
	if placeholders[uuid] || strings.Trim(uuid, "-0") == "" || strings.Trim(uuid, "-f") == "" {
		return ""
	}
	return uuid
}

// familyOfMask reads osquery's platform mask, a decimal string.
func familyOfMask(mask string) string {
	bits, err := strconv.ParseUint(strings.TrimSpace(mask), 10, 32)
	switch {
	case err != nil:
		return ""
	case bits&0x02 != 0:
		return "windows"
	case bits&0x10 != 0:
		return "darwin"
	case bits&0x20 != 0:
		return "freebsd"
	}
	return "linux"
}

func readFacts(e Enrollment) facts {
	tables := make(map[string]map[string]string, len(e.Details))
	for name, row := range e.Details {
		if len(tables) < maxDetailTable && len(row) > 0 {
			tables[identity(name, maxColumn)] = cleanRow(row)
		}
	}
	system, osVersion, agent := tables["system_info"], tables["os_version"], tables["osquery_info"]
	f := facts{
		instanceID: identity(agent["instance_id"], maxUUID),
		uuid:       hardwareUUID(first(system["uuid"], agent["uuid"])),
		address:    identity(strings.TrimPrefix(e.Address, "::ffff:"), maxAddress),
	}
	f.readSystem(system)
	f.readOS(osVersion)
	f.readAgent(agent)
	f.platform = first(f.platform, familyOfMask(first(e.PlatformType, agent["platform_mask"])))
	f.arch = first(f.arch, identity(osVersion["arch"], maxWord))
	f.identifier = first(identity(e.Identifier, maxIdentifier), f.instanceID, f.uuid, f.hostname)
	if len(tables) > 0 {
		f.details = jsonText(tables)
	}
	return f
}

func (f *facts) readSystem(row map[string]string) {
	if len(row) == 0 {
		return
	}
	f.serial = identity(row["hardware_serial"], maxSerial)
	f.hostname = identity(row["hostname"], maxName)
	f.computerName = identity(row["computer_name"], maxName)
	f.arch = identity(row["cpu_type"], maxWord)
	kept := map[string]string{}
	for _, column := range nodeColumns {
		if value, told := row[column]; told {
			kept[column] = value
		}
	}
	f.nodeInfo = jsonText(kept)
}

func (f *facts) readOS(row map[string]string) {
	if len(row) == 0 {
		return
	}
	f.osPlatform = identity(row["platform"], maxWord)
	if f.osPlatform != "" {
		f.platform = Family(f.osPlatform)
	}
	f.osInfo = jsonText(row)
}

func (f *facts) readAgent(row map[string]string) {
	if len(row) == 0 {
		return
	}
	f.osqueryVersion = identity(row["version"], maxWord)
	f.osqueryInfo = jsonText(row)
}

// first returns the first that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
