package corpus

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// Benign returns events that no rule is about: the columns of process events of
// Linux servers and of Windows machines at work.
func Benign() []string {
	var events []string
	for i, cmdline := range []string{
		"/usr/lib/git-core/git --git-dir=/srv/repo/.git rev-parse --verify HEAD", "/usr/bin/python3 /opt/app/manage.py migrate --noinput",
		"/bin/sh -c test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily", "sshd: deploy [priv]", "/usr/sbin/logrotate /etc/logrotate.conf",
		"gcc -O2 -Wall -Iinclude -c src/main.c -o build/main.o", "ls --color=auto -la /var/log", "/usr/bin/dpkg-query --show --showformat ${Version} openssl",
	} {
		events = append(events, columnsOf(map[string]string{
			"path": "/usr/bin/" + []string{"git", "python3.11", "dash", "sshd", "logrotate", "gcc", "ls", "dpkg-query"}[i], "cmdline": cmdline,
			"cwd": "/srv/repo", "parent_path": "/usr/bin/bash", "parent_cmdline": "-bash", "username": "deploy", "uid": "1000", "auid": "1000",
		}))
	}
	for i, cmdline := range []string{
		`"C:\Program Files\Google\Chrome\Application\chrome.exe" --type=renderer --lang=de --device-scale-factor=1 --num-raster-threads=4 --field-trial-handle=1718,i,1482`,
		`C:\Windows\system32\svchost.exe -k netsvcs -p -s Schedule`, `"C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE"`,
		`"C:\Program Files\Git\cmd\git.exe" status --porcelain`, `taskhostw.exe SYSTEM`, `C:\Windows\System32\RuntimeBroker.exe -Embedding`,
		`"C:\Program Files\Windows Defender\MpCmdRun.exe" SignatureUpdate -ScheduleJob`, `C:\Windows\system32\SearchProtocolHost.exe Global\UsGthrFltPipeMssGthrPipe1`,
	} {
		name := []string{"chrome", "svchost", "OUTLOOK", "git", "taskhostw", "RuntimeBroker", "MpCmdRun", "SearchProtocolHost"}[i] + ".exe"
		events = append(events, columnsOf(map[string]string{
			"path": `C:\Windows\System32\` + name, "cmdline": cmdline, "parent_path": `C:\Windows\System32\services.exe`,
			"original_filename": name, "username": `CORP\ada`, "mandatory_label": "S-1-16-8192",
		}))
	}
	return events
}

// Hostile returns events that hold much of what rules look for, and match a few:
// each is made to meet one of the rules that Rules returns first, with pieces of
// others and of what many rules know in its command line.
func Hostile() []string {
	m := maker{newRandom(7)}
	rules := Rules(100)
	events := make([]string, len(rules))
	for i, rule := range rules {
		columns := map[string]string{"username": `NT AUTHORITY\SYSTEM`, "mandatory_label": "S-1-16-16384", "remote_address": fmt.Sprintf("10.1.%d.7", i)}
		meet(rule, columns)
		columns["path"] = cmp.Or(columns["path"], `\powershell.exe`)
		columns["original_filename"] = columns["path"][1:]
		columns["path"] = `C:\Windows\System32` + columns["path"]
		columns["parent_path"] = `C:\Windows\System32` + cmp.Or(columns["parent_path"], `\cmd.exe`)
		for range 3 + m.IntN(4) {
			columns["cmdline"] += " " + arguments[m.IntN(len(arguments))]
		}
		columns["cmdline"] += m.literal(m.IntN(100)) + " -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAKQA="
		events[i] = columnsOf(columns)
	}
	return events
}

// meet adds to columns what the leaves of a rule want, of a list the first.
func meet(rule map[string]any, columns map[string]string) {
	if rule["not"] == true {
		return
	}
	if rules, ok := rule["rules"].([]any); ok {
		for _, r := range rules {
			meet(r.(map[string]any), columns)
		}
		return
	}
	field, wanted := rule["field"].(string), rule["value"]
	if list, ok := wanted.([]any); ok {
		wanted = list[0]
	}
	switch operator := rule["operator"]; {
	case operator == "begins_with":
		columns[field] = wanted.(string) + columns[field]
	case operator == "ends_with" || operator == "contains" && field == "cmdline":
		columns[field] += wanted.(string)
	}
}

// columnsOf is a row with the columns that process events have besides.
func columnsOf(columns map[string]string) string {
	for name, value := range map[string]string{"pid": "4212", "ppid": "4211", "time": "1718031142", "datetime": "2026-06-10T14:52:22Z", "eid": "00000042", "exit_code": "0", "flags": "0"} {
		columns[name] = value
	}
	text, _ := json.Marshal(columns) // of texts: it cannot fail
	return string(text)
}
