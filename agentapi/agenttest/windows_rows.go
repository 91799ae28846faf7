package agenttest

import "strings"

var windowsTables = map[string]generator{
	"bitlocker_info": bitlocker, "logical_drives": drives, "patches": patches, "process_etw_events": etwEvents, "programs": programRows,
	"scheduled_tasks": scheduledTasks, "services": services, "startup_items": windowsStartup, "windows_events": windowsEvents,
	"windows_security_products": securityProducts,
}

func programRows(v *view) []record {
	var rows []record
	for i, p := range [][3]string{
		{"Microsoft Edge", "136.0.3240.92", "Microsoft Corporation"}, {"Microsoft Visual C++ 2022 X64 Minimum Runtime", "14.40.33810", "Microsoft Corporation"},
		{"7-Zip 24.09 (x64)", "24.09", "Igor Pavlov"}, {"osquery", "5.23.1", "osquery"}, {"Notepad++ (64-bit x64)", "8.7.9", "Notepad++ Team"},
		{"Mozilla Firefox (x64 en-US)", "138.0.4", "Mozilla"}, {"Git", "2.49.0", "The Git Development Community"},
		{"Python 3.12.10 (64-bit)", "3.12.10150.0", "Python Software Foundation"}, {"TeamViewer", "15.65.6", "TeamViewer"},
	}[:9-v.random("programs").IntN(4)] {
		rows = append(rows, record{
			"name": p[0], "version": p[1], "install_location": `C:\Program Files\` + strings.Fields(p[0])[0] + `\`, "install_source": "", "language": "1033",
			"publisher": p[2], "uninstall_string": "", "install_date": "20250" + num(1+i%9) + "15",
			"identifying_number": "{" + randomUUID(v.random("program "+p[0]), true) + "}",
		})
	}
	return rows
}

func drives(v *view) []record {
	columns := []string{"device_id", "type", "description", "free_space", "size", "file_system", "boot_partition"}
	return list(columns,
		[]string{"C:", "Local Disk", "Local Fixed Disk", num(v.diskSize / 3), num(v.diskSize), "NTFS", "1"},
		[]string{"D:", "CD-ROM Disc", "CD-ROM Disc", "-1", "-1", "", "0"},
	)
}

func services(v *view) []record {
	var rows []record
	for _, s := range [][5]string{
		{"Spooler", "Print Spooler", `C:\Windows\System32\spoolsv.exe`, "LocalSystem", "AUTO_START"},
		{"Schedule", "Task Scheduler", `C:\Windows\system32\svchost.exe -k netsvcs -p`, "LocalSystem", "AUTO_START"},
		{"WinDefend", "Microsoft Defender Antivirus Service", `"C:\Program Files\Windows Defender\MsMpEng.exe"`, "LocalSystem", "AUTO_START"},
		{"wuauserv", "Windows Update", `C:\Windows\system32\svchost.exe -k netsvcs -p`, "LocalSystem", "DEMAND_START"},
		{"osqueryd", "osqueryd", `"C:\Program Files\osquery\osqueryd\osqueryd.exe" --flagfile="C:\Program Files\osquery\osquery.flags"`, "LocalSystem", "AUTO_START"},
	} {
		status, pid := "RUNNING", "0"
		for _, p := range v.processes() {
			if strings.Contains(strings.ToLower(s[2]), strings.ToLower(p.path)) {
				pid = num(p.pid)
			}
		}
		if s[4] == "DEMAND_START" {
			status, pid = "STOPPED", "0"
		}
		rows = append(rows, record{
			"name": s[0], "service_type": "OWN_PROCESS", "display_name": s[1], "status": status, "pid": pid, "start_type": s[4],
			"win32_exit_code": "0", "service_exit_code": "0", "path": s[2], "module_path": "", "description": s[1], "user_account": s[3],
		})
	}
	return rows
}

func scheduledTasks(v *view) []record {
	columns := []string{"name", "action", "path", "enabled", "state", "hidden", "last_run_time", "next_run_time", "last_run_message", "last_run_code"}
	last, next := num(v.boot.Unix()), num(v.boot.Unix()+86400)
	const done = "The operation completed successfully."
	return list(columns,
		[]string{"GoogleUpdateTaskMachineUA", `C:\Program Files (x86)\Google\Update\GoogleUpdate.exe /ua`, `\GoogleUpdateTaskMachineUA`, "1", "ready", "0", last, next, done, "0"},
		[]string{"ScheduledDefrag", `%windir%\system32\defrag.exe -c -h -o`, `\Microsoft\Windows\Defrag\ScheduledDefrag`, "1", "ready", "0", last, next, done, "0"},
		[]string{"Backup", `powershell.exe -File C:\Users\` + v.people[0] + `\backup.ps1`, `\Backup`, "1", "ready", "0", last, next, done, "0"},
	)
}

func windowsStartup(v *view) []record {
	columns := []string{"name", "path", "args", "type", "source", "status", "username"}
	return list(columns,
		[]string{"SecurityHealth", `C:\Windows\system32\SecurityHealthSystray.exe`, "", "Startup Item", `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`, "enabled", "SYSTEM"},
		[]string{"Teams", `C:\Users\` + v.people[0] + `\AppData\Local\Microsoft\Teams\Update.exe`, "--processStart Teams.exe", "Startup Item", `HKEY_USERS\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`, "enabled", v.people[0]},
	)
}

func patches(v *view) []record {
	var rows []record
	for _, id := range []string{"KB5058411", "KB5056579", "KB5059502"}[:1+v.random("patches").IntN(3)] {
		rows = append(rows, record{"csname": v.hostname, "hotfix_id": id, "caption": "http://support.microsoft.com/?kbid=" + id[2:],
			"description": "Security Update", "fix_comments": "", "installed_by": `NT AUTHORITY\SYSTEM`, "install_date": "", "installed_on": "5/14/2025"})
	}
	return rows
}

func bitlocker(v *view) []record {
	on := num(int(v.seed & 1))
	return []record{{"device_id": `\\?\Volume{` + randomUUID(v.random("root disk"), false) + `}\`, "drive_letter": "C:", "persistent_volume_id": "",
		"conversion_status": on, "protection_status": on, "encryption_method": "XTS-AES 128", "version": "2", "percentage_encrypted": num(int(v.seed&1) * 100), "lock_status": "0"}}
}

func securityProducts(v *view) []record {
	columns := []string{"type", "name", "state", "state_timestamp", "remediation_path", "signatures_up_to_date"}
	return list(columns,
		[]string{"Antivirus", "Microsoft Defender Antivirus", "On", "NULL", "windowsdefender://", "1"},
		[]string{"Firewall", "Windows Firewall", "On", "NULL", "%windir%\\system32\\firewall.cpl", "1"},
	)
}
