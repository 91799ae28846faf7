package agenttest

import (
	"fmt"
	"strings"
	"time"
)

// process is a running program of a host.
type process struct {
	pid, parent, uid    int64
	name, path, cmdline string
	started             time.Time
	protocol, port      int64
	address             string // it listens on
}

// program is a process to be: uid -1 is the first of the host's people.
type program struct {
	path, arguments string
	uid             int64
	protocol, port  int64
	address         string
}

func (p program) name() string {
	return p.path[strings.LastIndexAny(p.path, `/\`)+1:]
}

// processes are those that were started with the host, and some that come and go:
// each quarter of an hour a few are replaced.
func (v *view) processes() []process {
	if v.procs != nil {
		return v.procs
	}
	r := v.random("processes")
	pid := int64(1)
	for i, p := range programs[v.platform] {
		parent := int64(1)
		if i == 0 {
			parent = 0
		}
		v.procs = append(v.procs, v.start(p, pid, parent, v.boot.Add(time.Duration(i)*time.Second)))
		pid += 1 + int64(r.IntN(60))
	}
	v.procs = append(v.procs, v.start(osqueryPrograms[v.platform], v.osqueryPID(), 1, v.agent.born))
	quarter := v.now.Truncate(15 * time.Minute)
	r = v.randomFor("passing", 15*time.Minute)
	passing := passingPrograms[v.platform]
	for range 3 {
		p := passing[r.IntN(len(passing))]
		v.procs = append(v.procs, v.start(p, 20000+int64(r.IntN(10000)), 1, quarter.Add(time.Duration(r.IntN(900))*time.Second)))
	}
	if v.look.stage != nil {
		v.procs = append(v.procs, v.look.stage.processes...)
	}
	return v.procs
}

func (v *view) start(p program, pid, parent int64, at time.Time) process {
	uid := p.uid
	if uid < 0 {
		uid = v.accounts()[v.systemAccounts()].uid
	}
	path := strings.ReplaceAll(p.path, "{user}", v.people[0])
	return process{
		pid: pid, parent: parent, uid: uid, name: p.name(), path: path,
		cmdline: strings.TrimSpace(path + " " + strings.ReplaceAll(p.arguments, "{user}", v.people[0])),
		started: at, protocol: p.protocol, port: p.port, address: p.address,
	}
}

func (m *machine) osqueryPID() int64 { return 1500 + m.seed&0xff }

func processRows(v *view) []record {
	var rows []record
	root, cwd := "/", "/"
	if v.platform == Windows {
		root, cwd = "", `C:\Windows\system32\`
	}
	for _, p := range v.processes() {
		id := num(p.uid)
		size := 1<<20 + p.pid*4096
		rows = append(rows, record{
			"pid": num(p.pid), "name": p.name, "path": p.path, "cmdline": p.cmdline, "state": "S", "cwd": cwd, "root": root,
			"uid": id, "gid": id, "euid": id, "egid": id, "suid": id, "sgid": id, "on_disk": "1",
			"wired_size": "0", "resident_size": num(size), "total_size": num(size * 4),
			"user_time": num(p.pid * 3), "system_time": num(p.pid), "start_time": num(p.started.Unix()),
			"parent": num(p.parent), "pgroup": num(p.pid), "threads": num(1 + p.pid%9), "nice": "0",
		})
	}
	return rows
}

func listeningPorts(v *view) []record {
	var rows []record
	for _, p := range v.processes() {
		if p.port == 0 {
			continue
		}
		rows = append(rows, record{
			"pid": num(p.pid), "port": num(p.port), "protocol": num(p.protocol), "family": "2", "address": p.address,
			"fd": num(3 + p.port%7), "socket": num(20000 + p.port), "path": "", "net_namespace": "4026531840",
		})
	}
	return rows
}

func openSockets(v *view) []record {
	var rows []record
	r := v.randomFor("sockets", 15*time.Minute)
	procs := v.processes()
	for range 6 {
		p := procs[r.IntN(len(procs))]
		rows = append(rows, record{
			"pid": num(p.pid), "fd": num(5 + r.IntN(40)), "socket": num(30000 + r.IntN(9999)), "family": "2", "protocol": "6",
			"local_address": v.ip, "local_port": num(32768 + r.IntN(28000)), "remote_address": remoteAddress(r.IntN(len(remotes))),
			"remote_port": "443", "path": "", "state": "ESTABLISHED", "net_namespace": "4026531840",
		})
	}
	return rows
}

var remotes = []string{"192.0.2.10", "192.0.2.44", "198.51.100.7", "198.51.100.90", "203.0.113.5", "203.0.113.77"}

func remoteAddress(i int) string { return remotes[i%len(remotes)] }

// account is a user of a host.
type account struct {
	uid, gid                            int64
	name, description, directory, shell string
	uuid, group                         string
}

// accounts are the system's and then the people's; there is always one person.
func (v *view) accounts() []account {
	all := append([]account(nil), systemUsers[v.platform]...)
	for i, name := range v.people {
		uid := firstUID[v.platform] + int64(i)
		title := strings.ToUpper(name[:1]) + name[1:]
		a := account{uid: uid, gid: uid, name: name, description: title, group: name}
		switch v.platform {
		case Darwin:
			a.gid, a.group = 20, "staff"
			a.directory, a.shell, a.uuid = "/Users/"+name, "/bin/zsh", randomUUID(v.random("user "+name), true)
		case Windows:
			a.gid, a.group = 544, "Administrators"
			a.directory, a.shell = `C:\Users\`+name, `C:\Windows\system32\cmd.exe`
			a.uuid = fmt.Sprintf("S-1-5-21-%d-%d-%d-%d", v.seed&0xffffffff, 1004336348, 725345543, uid)
		default:
			a.directory, a.shell = "/home/"+name, "/bin/bash"
		}
		all = append(all, a)
	}
	return all
}

func (v *view) systemAccounts() int { return len(systemUsers[v.platform]) }

func userRows(v *view) []record {
	var rows []record
	for _, a := range v.accounts() {
		kind := "local"
		if v.platform == Windows && a.uid < 500 {
			kind = "special"
		}
		rows = append(rows, record{
			"uid": num(a.uid), "gid": num(a.gid), "uid_signed": num(a.uid), "gid_signed": num(a.gid), "username": a.name,
			"description": a.description, "directory": a.directory, "shell": a.shell, "uuid": a.uuid, "type": kind, "is_hidden": "0",
		})
	}
	return rows
}

func groupRows(v *view) []record {
	var rows []record
	known := map[int64]bool{}
	for _, a := range v.accounts() {
		if known[a.gid] {
			continue
		}
		known[a.gid] = true
		rows = append(rows, record{"gid": num(a.gid), "gid_signed": num(a.gid), "groupname": a.group})
	}
	return rows
}

func userGroups(v *view) []record {
	var rows []record
	for _, a := range v.accounts() {
		rows = append(rows, record{"uid": num(a.uid), "gid": num(a.gid)})
	}
	return rows
}

func loggedIn(v *view) []record {
	return []record{{
		"type": "user", "user": v.people[0], "tty": "pts/0", "host": v.gateway,
		"time": num(v.boot.Add(time.Hour).Unix()), "pid": num(v.osqueryPID() + 300),
	}}
}

var firstUID = map[Platform]int64{Linux: 1000, Darwin: 501, Windows: 1001}
