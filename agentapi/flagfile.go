package agentapi

import "strings"

// folders are where agents of a platform keep the authority and the enrol secret.
var folders = map[string]struct{ authority, secret string }{
	"linux":   {`/etc/osquery/muster-ca.pem`, `/etc/osquery/enroll_secret`},
	"darwin":  {`/private/var/osquery/muster-ca.pem`, `/private/var/osquery/enroll_secret`},
	"windows": {`C:\Program Files\osquery\certs\muster-ca.pem`, `C:\Program Files\osquery\enroll_secret`},
}

// Flagfile is what makes an osqueryd of that platform (linux, darwin, windows)
// report to the door at address, HOST:PORT. It holds no secret, only the path of
// one. For other platforms it is empty.
func Flagfile(platform, address string) string {
	paths, known := folders[platform]
	if !known {
		return ""
	}
	end := "\n"
	if platform == "windows" {
		end = "\r\n"
	}
	return strings.ReplaceAll(strings.NewReplacer("{address}", address, "{authority}", paths.authority, "{secret}", paths.secret).
		Replace(flagfile), "\n", end)
}

// flagfile is the README's. A line that osquery does not know it ignores, and a
// comment it takes for a flag.
const flagfile = `--tls_hostname={address}
--tls_server_certs={authority}
--enroll_secret_path={secret}
--enroll_tls_endpoint=/enroll
--host_identifier=instance
--config_plugin=tls
--config_tls_endpoint=/config
--config_refresh=60
--config_accelerated_refresh=60
--config_enable_backup=true
--logger_plugin=tls
--logger_tls_endpoint=/log
--logger_tls_period=10
--logger_tls_compress=true
--logger_min_status=1
--disable_distributed=false
--distributed_plugin=tls
--distributed_interval=10
--distributed_tls_read_endpoint=/distributed/read
--distributed_tls_write_endpoint=/distributed/write
--disable_carver=false
--carver_start_endpoint=/start_uploads
--carver_continue_endpoint=/upload_blocks
--carver_block_size=1048576
--carver_compression=true
--carver_disable_function=true
`
