package agenttest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// happening is one event: its own dice and the moment it happened.
type happening struct {
	*rand.Rand
	at  time.Time
	eid string
}

// events makes the new rows of an event table: for a scheduled query those since
// its last run, for a live one those of the last minute. None repeats.
func (v *view) events(table string, each func(*happening) record) []record {
	a := v.agent
	if a.flags.bool("disable_events") {
		return nil
	}
	since := v.now.Add(-time.Minute)
	if v.look.scheduled != "" {
		key := v.look.scheduled + " " + table
		a.mu.Lock()
		if last, ok := a.mem.seen[key]; ok {
			since = time.Unix(last, 0)
		}
		a.mem.seen[key] = v.now.Unix()
		a.mu.Unlock()
	}
	span := max(int64(v.now.Sub(since)/time.Second), 1)
	r := v.random(fmt.Sprintf("%s %s %d", table, v.look.scheduled, v.now.Unix()))
	var rows []record
	for i := range a.opt.Events {
		h := &happening{Rand: r, at: v.now.Add(-time.Duration(r.Int64N(span)) * time.Second)}
		h.eid = fmt.Sprintf("%010d", v.now.Unix()%1e6*1000+int64(i))
		rows = append(rows, each(h))
	}
	slices.SortFunc(rows, func(x, y record) int { return strings.Compare(x["time"], y["time"]) })
	return rows
}

// started picks the program of an event, and one of the same account that runs as
// its parent: queries join events with processes to learn of it.
func (v *view) started(h *happening) process {
	passing := passingPrograms[v.platform]
	p := v.start(passing[h.IntN(len(passing))], 2000+h.Int64N(60000), 1, h.at)
	parents := slices.DeleteFunc(slices.Clone(v.processes()), func(other process) bool { return other.uid != p.uid })
	if len(parents) > 0 {
		p.parent = parents[h.IntN(len(parents))].pid
	}
	return p
}

func processEvents(v *view) []record {
	return v.events("process_events", func(h *happening) record { return v.processEvent(h, v.started(h)) })
}

func (v *view) processEvent(h *happening, p process) record {
	uid := num(p.uid)
	return record{
		"pid": num(p.pid), "path": p.path, "mode": "0100755", "cmdline": p.cmdline, "cwd": "/home/" + v.people[0], "auid": num(firstUID[Linux]),
		"uid": uid, "euid": uid, "gid": uid, "egid": uid, "owner_uid": "0", "owner_gid": "0", "parent": num(p.parent),
		"time": num(h.at.Unix()), "uptime": num(int64(h.at.Sub(v.boot) / time.Second)), "eid": h.eid, "syscall": "execve",
		"env": "", "env_count": "0", "cmdline_size": num(len(p.cmdline)), "fsuid": uid, "suid": uid, "fsgid": uid, "sgid": uid,
	}
}

func socketEvents(v *view) []record {
	return v.events("socket_events", func(h *happening) record {
		p := v.started(h)
		return record{
			"action": "connect", "pid": num(p.pid), "path": p.path, "fd": num(3 + h.IntN(20)), "auid": num(p.uid), "family": "2", "protocol": "6",
			"local_address": v.ip, "local_port": num(32768 + h.IntN(28000)), "remote_address": remoteAddress(h.IntN(9)), "remote_port": "443",
			"time": num(h.at.Unix()), "uptime": num(int64(h.at.Sub(v.boot) / time.Second)), "eid": h.eid, "success": "1", "status": "succeeded",
		}
	})
}

func userEvents(v *view) []record {
	return v.events("user_events", func(h *happening) record {
		return record{
			"uid": "0", "auid": num(firstUID[Linux]), "pid": num(2000 + h.IntN(60000)), "message": "acct=\"" + v.people[0] + "\"", "type": "1100",
			"path": "/usr/sbin/sshd", "address": v.gateway, "terminal": "ssh", "time": num(h.at.Unix()),
			"uptime": num(int64(h.at.Sub(v.boot) / time.Second)), "eid": h.eid,
		}
	})
}

// fileEvents happen in the categories that the config watches, and nowhere else.
func fileEvents(v *view) []record {
	v.agent.mu.Lock()
	var watched map[string][]string
	if v.agent.mem.plan != nil {
		watched = v.agent.mem.plan.categories
	}
	v.agent.mu.Unlock()
	if len(watched) == 0 {
		return nil
	}
	categories := slices.Sorted(maps.Keys(watched))
	return v.events("file_events", func(h *happening) record {
		category := categories[h.IntN(len(categories))]
		path := "/tmp/unknown"
		if paths := harmless(watched[category]); len(paths) > 0 {
			path = strings.NewReplacer("%%", "settings.conf", "%", "settings.conf").Replace(paths[h.IntN(len(paths))])
		}
		content := []byte(path + h.eid)
		at := num(h.at.Unix())
		return record{
			"target_path": path, "category": category, "action": []string{"CREATED", "UPDATED", "ATTRIBUTES_MODIFIED"}[h.IntN(3)],
			"transaction_id": "0", "inode": num(100000 + h.IntN(99999)), "uid": "0", "gid": "0", "mode": "0644", "size": num(len(content)),
			"atime": at, "mtime": at, "ctime": at, "md5": contentHash("md5", content), "sha1": contentHash("sha1", content),
			"sha256": contentHash("sha256", content), "hashed": "1", "time": at, "eid": h.eid,
		}
	})
}

// harmless leaves out paths at which a change alone is alarming: nothing happens there
// on a host without an attack.
func harmless(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
		return slices.ContainsFunc([]string{"cron", "preload", "sudoers", "pam.d", "ssh"}, func(word string) bool { return strings.Contains(path, word) })
	})
}

func esProcessEvents(v *view) []record {
	return v.events("es_process_events", func(h *happening) record { return v.esProcessEvent(h, v.started(h)) })
}

func (v *view) esProcessEvent(h *happening, p process) record {
	uid := num(p.uid)
	return record{
		"version": "8", "seq_num": num(h.IntN(1 << 20)), "global_seq_num": num(h.IntN(1 << 20)), "pid": num(p.pid), "path": p.path,
		"parent": num(p.parent), "original_parent": num(p.parent), "session_id": "1", "responsible_pid": num(p.pid), "cmdline": p.cmdline,
		"cmdline_count": num(len(strings.Fields(p.cmdline))), "env": "", "env_count": "0", "cwd": "/Users/" + v.people[0], "uid": uid, "euid": uid,
		"gid": "20", "egid": "20", "username": v.people[0], "signing_id": "com.apple." + p.name, "team_id": "", "cdhash": randomHex(h.Rand, 20),
		"platform_binary": "1", "exit_code": "", "child_pid": "", "time": num(h.at.Unix()), "event_type": "exec", "eid": h.eid, "codesigning_flags": "",
	}
}

func etwEvents(v *view) []record {
	return v.events("process_etw_events", func(h *happening) record { return v.etwEvent(h, v.started(h)) })
}

func (v *view) etwEvent(h *happening, p process) record {
	return record{
		"type": "ProcessStart", "pid": num(p.pid), "ppid": num(p.parent), "session_id": "1", "flags": "0", "exit_code": "0", "path": p.path,
		"cmdline": p.cmdline, "username": v.hostname + `\` + v.people[0], "token_elevation_type": "TokenElevationTypeLimited",
		"token_elevation_status": "0", "mandatory_label": "S-1-16-8192", "datetime": h.at.UTC().Format(time.RFC3339),
		"time_windows": num((h.at.Unix() + 11644473600) * 10_000_000), "time": num(h.at.Unix()), "eid": num(h.IntN(1 << 30)), "header_pid": num(p.pid),
	}
}

func windowsEvents(v *view) []record {
	return v.events("windows_events", func(h *happening) record {
		return record{
			"time": num(h.at.Unix()), "datetime": h.at.UTC().Format(time.RFC3339Nano), "source": "Security",
			"provider_name": "Microsoft-Windows-Security-Auditing", "provider_guid": "{54849625-5478-4994-A5BA-3E3B0328C30D}", "computer_name": v.hostname,
			"eventid": []string{"4624", "4625", "4688"}[h.IntN(3)], "task": "12544", "level": "0", "keywords": "0x8020000000000000",
			"data": `{"EventData":{"TargetUserName":"` + v.people[0] + `","LogonType":"3"}}`, "eid": h.eid,
		}
	})
}
