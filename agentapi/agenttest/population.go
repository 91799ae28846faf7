package agenttest

// systemUsers are the accounts that come with a platform.
var systemUsers = map[Platform][]account{
	Linux: {
		{0, 0, "root", "root", "/root", "/bin/bash", "", "root"},
		{1, 1, "daemon", "daemon", "/usr/sbin", "/usr/sbin/nologin", "", "daemon"},
		{2, 2, "bin", "bin", "/bin", "/usr/sbin/nologin", "", "bin"},
		{8, 8, "mail", "mail", "/var/mail", "/usr/sbin/nologin", "", "mail"},
		{33, 33, "www-data", "www-data", "/var/www", "/usr/sbin/nologin", "", "www-data"},
		{65534, 65534, "nobody", "nobody", "/nonexistent", "/usr/sbin/nologin", "", "nogroup"},
		{998, 998, "systemd-network", "systemd Network Management", "/", "/usr/sbin/nologin", "", "systemd-network"},
		{105, 109, "sshd", "", "/run/sshd", "/usr/sbin/nologin", "", "ssh"},
	},
	Darwin: {
		{-2, -2, "nobody", "Unprivileged User", "/var/empty", "/usr/bin/false", "FFFFEEEE-DDDD-CCCC-BBBB-AAAAFFFFFFFE", "nobody"},
		{0, 0, "root", "System Administrator", "/var/root", "/bin/sh", "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000000", "wheel"},
		{1, 1, "daemon", "System Services", "/var/root", "/usr/bin/false", "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000001", "daemon"},
		{65, 65, "_mdnsresponder", "mDNSResponder", "/var/empty", "/usr/bin/false", "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000041", "_mdnsresponder"},
		{88, 88, "_windowserver", "WindowServer", "/var/empty", "/usr/bin/false", "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000058", "_windowserver"},
	},
	Windows: {
		{18, 18, "SYSTEM", "", `%systemroot%\system32\config\systemprofile`, `C:\Windows\system32\cmd.exe`, "S-1-5-18", "SYSTEM"},
		{19, 19, "LOCAL SERVICE", "", `%systemroot%\ServiceProfiles\LocalService`, `C:\Windows\system32\cmd.exe`, "S-1-5-19", "LOCAL SERVICE"},
		{500, 513, "Administrator", "Built-in account for administering the computer/domain", "", `C:\Windows\system32\cmd.exe`, "S-1-5-21-500", "None"},
		{501, 513, "Guest", "Built-in account for guest access to the computer/domain", "", `C:\Windows\system32\cmd.exe`, "S-1-5-21-501", "None"},
	},
}

// programs run from the start of a host, the first as the parent of all.
var programs = map[Platform][]program{
	Linux: {
		{"/usr/lib/systemd/systemd", "--system", 0, 0, 0, ""},
		{"/usr/lib/systemd/systemd-journald", "", 0, 0, 0, ""},
		{"/usr/lib/systemd/systemd-udevd", "", 0, 0, 0, ""},
		{"/usr/lib/systemd/systemd-resolved", "", 998, 17, 53, "127.0.0.53"},
		{"/usr/sbin/cron", "-f -P", 0, 0, 0, ""},
		{"/usr/bin/dbus-daemon", "--system --nofork", 1, 0, 0, ""},
		{"/usr/sbin/sshd", "-D", 0, 6, 22, "0.0.0.0"},
		{"/usr/sbin/nginx", "-g 'daemon on;'", 33, 6, 443, "0.0.0.0"},
		{"/usr/sbin/rsyslogd", "-n -iNONE", 0, 0, 0, ""},
		{"/usr/bin/bash", "--login", -1, 0, 0, ""},
		{"/usr/bin/python3", "/home/{user}/report.py --daemon", -1, 6, 8000, "127.0.0.1"},
	},
	Darwin: {
		{"/sbin/launchd", "", 0, 0, 0, ""},
		{"/usr/libexec/logd", "", 0, 0, 0, ""},
		{"/usr/sbin/mDNSResponder", "", 65, 17, 5353, "0.0.0.0"},
		{"/System/Library/PrivateFrameworks/SkyLight.framework/Resources/WindowServer", "-daemon", 88, 0, 0, ""},
		{"/usr/sbin/cupsd", "-l", 0, 6, 631, "127.0.0.1"},
		{"/System/Library/CoreServices/Finder.app/Contents/MacOS/Finder", "", -1, 0, 0, ""},
		{"/Applications/Safari.app/Contents/MacOS/Safari", "", -1, 0, 0, ""},
		{"/Applications/Slack.app/Contents/MacOS/Slack", "", -1, 0, 0, ""},
		{"/bin/zsh", "-l", -1, 0, 0, ""},
	},
	Windows: {
		{"System", "", 18, 6, 445, "0.0.0.0"},
		{`C:\Windows\System32\smss.exe`, "", 18, 0, 0, ""},
		{`C:\Windows\System32\lsass.exe`, "", 18, 6, 49664, "0.0.0.0"},
		{`C:\Windows\System32\services.exe`, "", 18, 0, 0, ""},
		{`C:\Windows\System32\svchost.exe`, "-k DcomLaunch -p", 18, 6, 135, "0.0.0.0"},
		{`C:\Windows\System32\svchost.exe`, "-k netsvcs -p -s Schedule", 18, 0, 0, ""},
		{`C:\Windows\System32\spoolsv.exe`, "", 18, 0, 0, ""},
		{`C:\Program Files\Windows Defender\MsMpEng.exe`, "", 18, 0, 0, ""},
		{`C:\Windows\explorer.exe`, "", -1, 0, 0, ""},
		{`C:\Users\{user}\AppData\Local\Microsoft\Teams\current\Teams.exe`, "", -1, 0, 0, ""},
	},
}

var osqueryPrograms = map[Platform]program{
	Linux:   {"/opt/osquery/bin/osqueryd", "--flagfile=/etc/osquery/osquery.flags", 0, 0, 0, ""},
	Darwin:  {"/opt/osquery/lib/osquery.app/Contents/MacOS/osqueryd", "--flagfile=/private/var/osquery/osquery.flags", 0, 0, 0, ""},
	Windows: {`C:\Program Files\osquery\osqueryd\osqueryd.exe`, `--flagfile="C:\Program Files\osquery\osquery.flags"`, 18, 0, 0, ""},
}

// passingPrograms come and go.
var passingPrograms = map[Platform][]program{
	Linux: {
		{"/usr/bin/apt-get", "update", 0, 0, 0, ""}, {"/usr/bin/vim", "/home/{user}/notes.txt", -1, 0, 0, ""},
		{"/usr/bin/curl", "-fsS https://192.0.2.10/health", -1, 0, 0, ""}, {"/usr/bin/tar", "czf /tmp/backup.tgz /home/{user}", -1, 0, 0, ""},
		{"/usr/bin/ssh", "build@198.51.100.7", -1, 0, 0, ""}, {"/usr/bin/git", "fetch origin", -1, 0, 0, ""},
	},
	Darwin: {
		{"/usr/bin/top", "", -1, 0, 0, ""}, {"/usr/libexec/mdworker_shared", "-s mdworker", -1, 0, 0, ""},
		{"/usr/bin/curl", "-O https://203.0.113.5/setup.pkg", -1, 0, 0, ""}, {"/usr/sbin/softwareupdate", "--list", 0, 0, 0, ""},
		{"/usr/bin/osascript", "-e 'display dialog \"hello\"'", -1, 0, 0, ""},
	},
	Windows: {
		{`C:\Windows\System32\cmd.exe`, "/c whoami", -1, 0, 0, ""}, {`C:\Windows\System32\notepad.exe`, `C:\Users\{user}\notes.txt`, -1, 0, 0, ""},
		{`C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`, "-NoProfile -Command Get-Process", -1, 0, 0, ""},
		{`C:\Windows\System32\taskhostw.exe`, "", 18, 0, 0, ""}, {`C:\Windows\System32\wuauclt.exe`, "/detectnow", 18, 0, 0, ""},
	},
}
