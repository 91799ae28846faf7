package agenttest

import "strings"

var darwinTables = map[string]generator{
	"alf": firewall, "apps": apps, "authorized_keys": authorizedKeys, "crontab": crontab, "disk_encryption": diskEncryption,
	"dns_resolvers": resolvers, "es_process_events": esProcessEvents, "file_events": fileEvents, "gatekeeper": gatekeeper,
	"homebrew_packages": homebrew, "last": lastLogins, "launchd": launchd, "mounts": macMounts, "shell_history": shellHistory,
	"sip_config": sip, "startup_items": macStartup,
}

func apps(v *view) []record {
	var rows []record
	for i, a := range [][4]string{
		{"Safari", "com.apple.Safari", "18.5", "public.app-category.productivity"},
		{"Mail", "com.apple.mail", "16.0", "public.app-category.productivity"},
		{"Slack", "com.tinyspeck.slackmacgap", "4.43.51", "public.app-category.business"},
		{"Visual Studio Code", "com.microsoft.VSCode", "1.100.2", "public.app-category.developer-tools"},
		{"Google Chrome", "com.google.Chrome", "137.0.7151.56", ""},
		{"zoom.us", "us.zoom.xos", "6.4.6", "public.app-category.business"},
		{"Docker", "com.docker.docker", "4.41.2", "public.app-category.developer-tools"},
		{"1Password", "com.1password.1password", "8.10.76", "public.app-category.productivity"},
	}[:8-v.random("apps").IntN(4)] {
		rows = append(rows, record{
			"name": a[0] + ".app", "path": "/Applications/" + a[0] + ".app", "bundle_executable": a[0], "bundle_identifier": a[1],
			"bundle_name": a[0], "bundle_short_version": a[2], "bundle_version": a[2], "bundle_package_type": "APPL", "environment": "",
			"element": "", "compiler": "com.apple.compilers.llvm.clang.1_0", "development_region": "en", "display_name": a[0],
			"info_string": "", "minimum_system_version": "12.0", "category": a[3], "applescript_enabled": "1", "copyright": "",
			"last_opened_time": num(v.boot.Unix()+int64(i)*3600) + ".5",
		})
	}
	return rows
}

func macMounts(v *view) []record {
	columns := []string{"device", "device_alias", "path", "type", "blocks_size", "blocks", "blocks_free", "blocks_available", "inodes", "inodes_free", "flags"}
	blocks := v.diskSize / 4096
	return list(columns,
		[]string{"/dev/disk3s1s1", "/dev/disk3s1s1", "/", "apfs", "4096", num(blocks), num(blocks / 3), num(blocks / 3), "2147483647", "2147000000", "76582912"},
		[]string{"/dev/disk3s5", "/dev/disk3s5", "/System/Volumes/Data", "apfs", "4096", num(blocks), num(blocks / 3), num(blocks / 3), "2147483647", "2140000000", "76546048"},
	)
}

func launchd(v *view) []record {
	var rows []record
	for _, l := range [][3]string{
		{"/System/Library/LaunchDaemons/com.apple.logd.plist", "com.apple.logd", "/usr/libexec/logd"},
		{"/System/Library/LaunchDaemons/org.cups.cupsd.plist", "org.cups.cupsd", "/usr/sbin/cupsd"},
		{"/Library/LaunchDaemons/io.osquery.agent.plist", "io.osquery.agent", osqueryPrograms[Darwin].path},
		{"/Users/" + v.people[0] + "/Library/LaunchAgents/com.example.sync.plist", "com.example.sync", "/Users/" + v.people[0] + "/bin/sync"},
	} {
		user := "root"
		if strings.HasPrefix(l[0], "/Users/") {
			user = v.people[0]
		}
		rows = append(rows, record{
			"path": l[0], "name": l[0][strings.LastIndexByte(l[0], '/')+1:], "label": l[1], "program": l[2], "run_at_load": "1", "keep_alive": "1",
			"on_demand": "", "disabled": "", "username": user, "groupname": "", "start_interval": "", "program_arguments": l[2], "process_type": "",
		})
	}
	return rows
}

func macStartup(v *view) []record {
	columns := []string{"name", "path", "args", "type", "source", "status", "username"}
	return list(columns,
		[]string{"Slack", "/Applications/Slack.app", "", "Login Item", "/var/db/com.apple.xpc.launchd/loginitems.501.plist", "enabled", v.people[0]},
		[]string{"com.example.sync", "/Users/" + v.people[0] + "/bin/sync", "", "Launch Agent", "/Users/" + v.people[0] + "/Library/LaunchAgents", "enabled", v.people[0]},
	)
}

func homebrew(v *view) []record {
	columns := []string{"name", "path", "version", "type", "auto_updates", "app_name"}
	return list(columns,
		[]string{"git", "/opt/homebrew/Cellar/git", "2.49.0", "formula", "0", ""},
		[]string{"jq", "/opt/homebrew/Cellar/jq", "1.7.1", "formula", "0", ""},
		[]string{"openssl@3", "/opt/homebrew/Cellar/openssl@3", "3.5.0", "formula", "0", ""},
	)
}

func sip(*view) []record {
	columns := []string{"config_flag", "enabled", "enabled_nvram"}
	return list(columns, []string{"sip", "1", "1"}, []string{"allow_apple_internal", "0", "0"}, []string{"allow_unrestricted_fs", "0", "0"})
}

func gatekeeper(*view) []record {
	return []record{{"assessments_enabled": "1", "dev_id_enabled": "1", "version": "181", "opaque_version": "94"}}
}

func firewall(v *view) []record {
	return []record{{"allow_signed_enabled": "1", "firewall_unload": "0", "global_state": num(int(v.seed & 1)), "logging_enabled": "0",
		"logging_option": "0", "stealth_enabled": "0", "version": "1.6"}}
}
