package agenttest

import (
	"fmt"
	"strings"
	"time"
)

func systemInfo(v *view) []record {
	short := strings.TrimSuffix(v.hostname, ".local")
	return []record{{
		"hostname": v.hostname, "uuid": v.uuid, "cpu_type": v.arch, "cpu_subtype": "6",
		"cpu_brand": v.cpu, "cpu_physical_cores": num(v.cores / 2), "cpu_logical_cores": num(v.cores),
		"cpu_sockets": "1", "cpu_microcode": "0x5003604", "physical_memory": num(v.memory),
		"hardware_vendor": v.vendor, "hardware_model": v.model, "hardware_version": "1.0", "hardware_serial": v.serial,
		"board_vendor": v.vendor, "board_model": v.model, "board_version": "", "board_serial": v.serial,
		"computer_name": short, "local_hostname": short,
	}}
}

func osVersion(v *view) []record {
	r := record{
		"name": v.system.name, "version": v.system.version, "major": num(v.system.major), "minor": num(v.system.minor),
		"patch": num(v.system.patch), "build": v.system.build, "platform": v.system.platform,
		"platform_like": v.system.like, "codename": v.system.codename, "arch": v.osArch(),
	}
	switch v.platform {
	case Linux:
		r["pid_with_namespace"], r["mount_namespace_id"] = "0", ""
	case Darwin:
		r["extra"] = ""
	case Windows:
		r["install_date"], r["revision"] = num(v.boot.Add(-90*24*time.Hour).Unix()), "4061"
	}
	return []record{r}
}

func (m *machine) osArch() string {
	switch m.platform {
	case Windows:
		return "64-bit"
	case Darwin:
		return "arm64"
	default:
		return m.arch
	}
}

func osqueryInfo(v *view) []record {
	a := v.agent
	hash, valid := a.ConfigHash(), "0"
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mem.valid {
		valid = "1"
	}
	distro := map[Platform]string{Linux: "centos7", Darwin: "10.14", Windows: "10"}[v.platform]
	return []record{{
		"pid": num(v.osqueryPID()), "uuid": v.uuid, "instance_id": a.disk.InstanceID, "version": a.profile.release,
		"config_hash": hash, "config_valid": valid, "extensions": "inactive", "build_platform": string(v.platform),
		"build_distro": distro, "start_time": num(a.mem.started.Unix()), "watcher": num(v.osqueryPID() - 2),
		"platform_mask": num(v.platform.mask()),
	}}
}

// platformInfo is empty in containers, which the caches of this world are.
func platformInfo(v *view) []record {
	if strings.HasPrefix(v.hostname, "cache-") {
		return nil
	}
	return []record{{
		"vendor": v.vendor, "version": "1.16.0", "date": "04/01/2024", "revision": "1.16",
		"extra": "", "firmware_type": "uefi", "address": "0xe8000", "size": "98304", "volume_size": "0",
	}}
}

func uptime(v *view) []record {
	total := int64(v.now.Sub(v.boot) / time.Second)
	return []record{{
		"days": num(total / 86400), "hours": num(total / 3600 % 24), "minutes": num(total / 60 % 60),
		"seconds": num(total % 60), "total_seconds": num(total),
	}}
}

func timeRow(v *view) []record {
	t := v.now.UTC()
	return []record{{
		"weekday": t.Weekday().String(), "year": num(t.Year()), "month": num(int(t.Month())), "day": num(t.Day()),
		"hour": num(t.Hour()), "minutes": num(t.Minute()), "seconds": num(t.Second()),
		"timezone": "UTC", "local_timezone": "UTC", "unix_time": num(t.Unix()), "timestamp": t.Format(asctime),
		"datetime": t.Format(time.RFC3339), "iso_8601": t.Format(time.RFC3339),
		"win_timestamp": num((t.Unix() + 11644473600) * 10_000_000),
	}}
}

func kernelInfo(v *view) []record {
	switch v.platform {
	case Darwin:
		return []record{{"version": v.system.kernel, "arguments": "", "path": "/System/Library/Kernels/kernel", "device": "/dev/disk3s1s1"}}
	case Windows:
		return []record{{"version": v.system.kernel, "arguments": "NOEXECUTE=OPTIN", "path": `C:\Windows\System32\ntoskrnl.exe`, "device": `\\.\PHYSICALDRIVE0`}}
	}
	return []record{{
		"version": v.system.kernel, "arguments": "ro quiet splash",
		"path": "/boot/vmlinuz-" + v.system.kernel, "device": "UUID=" + randomUUID(v.random("root disk"), false),
	}}
}

func cpuInfo(v *view) []record {
	return []record{{
		"device_id": "CPU0", "model": v.cpu, "manufacturer": strings.Fields(v.cpu)[0], "processor_type": "3", "cpu_status": "1",
		"number_of_cores": num(v.cores / 2), "logical_processors": num(v.cores), "address_width": "64",
		"current_clock_speed": "2100", "max_clock_speed": "3900", "socket_designation": "CPU 0",
	}}
}

func (m *machine) loopback() string {
	return map[Platform]string{Linux: "lo", Darwin: "lo0", Windows: "1"}[m.platform]
}

func (m *machine) ethernet() string {
	return map[Platform]string{Linux: "eth0", Darwin: "en0", Windows: "7"}[m.platform]
}

func interfaceDetails(v *view) []record {
	busy := v.now.Unix() / 600
	rows := []record{
		{"interface": v.loopback(), "mac": "00:00:00:00:00:00", "type": "772", "mtu": "65536", "metric": "0", "flags": "65609",
			"ipackets": num(busy), "opackets": num(busy), "ibytes": num(busy * 90), "obytes": num(busy * 90)},
		{"interface": v.ethernet(), "mac": v.mac, "type": "1", "mtu": "1500", "metric": "0", "flags": "69699", "link_speed": "1000",
			"ipackets": num(busy * 7), "opackets": num(busy * 5), "ibytes": num(busy * 9000), "obytes": num(busy * 700)},
	}
	for _, r := range rows {
		for _, column := range []string{"ierrors", "oerrors", "idrops", "odrops", "collisions"} {
			r[column] = "0"
		}
		r["last_change"], r["pci_slot"] = "-1", ""
	}
	if v.platform == Windows {
		rows[0]["friendly_name"], rows[1]["friendly_name"] = "Loopback Pseudo-Interface 1", "Ethernet"
	}
	return rows
}

func interfaceAddresses(v *view) []record {
	columns := []string{"interface", "address", "mask", "broadcast", "point_to_point", "type"}
	return list(columns,
		[]string{v.loopback(), "127.0.0.1", "255.0.0.0", "", "127.0.0.1", "unknown"},
		[]string{v.loopback(), "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "", "unknown"},
		[]string{v.ethernet(), v.ip, "255.255.255.0", v.ip[:strings.LastIndexByte(v.ip, '.')] + ".255", "", "dhcp"},
		[]string{v.ethernet(), v.ip6, "ffff:ffff:ffff:ffff::", "", "", "auto"},
	)
}

func routes(v *view) []record {
	columns := []string{"destination", "netmask", "gateway", "source", "flags", "interface", "mtu", "metric", "type", "hopcount"}
	net := v.ip[:strings.LastIndexByte(v.ip, '.')] + ".0"
	return list(columns,
		[]string{"0.0.0.0", "0", v.gateway, "", "3", v.ethernet(), "1500", "100", "gateway", "0"},
		[]string{net, "24", "", v.ip, "1", v.ethernet(), "1500", "100", "local", "0"},
	)
}

func arpCache(v *view) []record {
	return []record{{"address": v.gateway, "mac": "52:54:00:12:35:02", "interface": v.ethernet(), "permanent": "0"}}
}

func etcHosts(v *view) []record {
	return list([]string{"address", "hostnames"},
		[]string{"127.0.0.1", "localhost"},
		[]string{"127.0.1.1", v.hostname},
		[]string{"::1", "ip6-localhost ip6-loopback"},
		[]string{v.gateway, fmt.Sprintf("gateway gw-%s", v.gateway[strings.LastIndexByte(v.gateway, '.')+1:])},
	)
}
