package corpus

// programs are those that come with Windows and are turned against it, the best
// known first.
var programs = []string{
	"powershell.exe", "cmd.exe", "rundll32.exe", "pwsh.exe", "wmic.exe", "reg.exe", "mshta.exe", "regsvr32.exe", "certutil.exe", "schtasks.exe",
	"cscript.exe", "wscript.exe", "net.exe", "net1.exe", "sc.exe", "bitsadmin.exe", "msiexec.exe", "curl.exe", "explorer.exe", "svchost.exe",
	"winword.exe", "excel.exe", "outlook.exe", "python.exe", "bash.exe", "wsl.exe", "netsh.exe", "vssadmin.exe", "bcdedit.exe", "wevtutil.exe",
	"whoami.exe", "nltest.exe", "tasklist.exe", "taskkill.exe", "ipconfig.exe", "systeminfo.exe", "findstr.exe", "hh.exe", "installutil.exe", "regasm.exe",
	"msbuild.exe", "csc.exe", "cmstp.exe", "forfiles.exe", "odbcconf.exe", "pcalua.exe", "control.exe", "dnscmd.exe", "esentutl.exe", "expand.exe",
	"extrac32.exe", "ftp.exe", "gpscript.exe", "iexpress.exe", "infdefaultinstall.exe", "makecab.exe", "mavinject.exe", "mmc.exe", "msdt.exe", "ntdsutil.exe",
	"presentationhost.exe", "print.exe", "psr.exe", "rasautou.exe", "replace.exe", "rpcping.exe", "runonce.exe", "scriptrunner.exe", "syncappvpublishingserver.exe", "tttracer.exe",
	"verclsid.exe", "wab.exe", "workfolders.exe", "xwizard.exe", "at.exe", "attrib.exe", "fsutil.exe", "icacls.exe", "takeown.exe", "cipher.exe",
}

var arguments = []string{
	" -enc", " -nop", " -w hidden", "-ExecutionPolicy Bypass", "IEX", "DownloadString", "DownloadFile", "Net.WebClient", "FromBase64String", "http://", "https://",
	" /c ", " /add", " /create ", " delete shadows", "javascript:", "vbscript:", "comsvcs.dll", "MiniDump", "sekurlsa", "lsass", `\AppData\Local\Temp\`,
	`\Users\Public\`, `HKLM\`, " localgroup administrators", " urlcache", " -decode", "scrobj.dll", "process call create", "Set-MpPreference", "Add-Type",
	"Invoke-", "reg add", " /transfer ", ".ps1", ".hta", ".bat", "shell32.dll", "url.dll", "advpack.dll", "ieadvpack.dll", `C:\ProgramData\`,
}

var options = []string{"enc", "e", "s", "u", "d", "decode", "urlcache", "format", "query", "dump", "ma", "accepteula", "config", "dc", "f", "user"}

var folders = []string{
	`C:\Windows\System32\`, `C:\Windows\SysWOW64\`, `C:\Program Files\`, `C:\Program Files (x86)\`, `C:\Windows\Temp\`, `C:\Users\`, `C:\ProgramData\`, `"C:\Windows\`,
	`C:\Windows\WinSxS\`, `C:\Windows\servicing\`,
}

// syllables make words that no benign command line has.
var syllables = []string{
	"ska", "vor", "tiq", "mune", "drax", "pilo", "gher", "sulo", "nexa", "brim", "kova", "zeth", "quil", "arno", "fesk", "yggo", "tamb", "wirf", "olex", "hund",
	"jasp", "rilk", "dova", "spet", "ulmo", "crex", "vint", "gola", "mirk", "zapo", "lurn", "thex", "fyra", "bolk", "seng", "ixor", "kemp", "navo", "dris", "plon",
}
