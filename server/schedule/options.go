package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"muster/server/database"
	"muster/server/fault"
)

const (
	optionsSetting = "options"
	packDelimiter  = "/"

	maxOptions      = 500
	maxOptionValue  = 8 << 10
	maxOptionsBytes = 128 << 10
	maxWhole        = 1 << 53 // what a double and every reader of JSON holds
)

var errNoOption = errors.New("must be a string, a whole number, true or false")

// builtinOptions make agents work well with this server whatever their flagfile
// says; a config's options and the administrator's lie over them.
//
// Agents merge options and keep what they were told until they restart
// (osquery-tls 2.5): an option taken away is not reset, and one that was overlaid
// falls back to what stands here.
var builtinOptions = map[string]any{
	"disable_distributed":          false, // live queries are the main job; osquery's default is off
	"distributed_interval":         int64(10),
	"distributed_tls_max_attempts": int64(3),
	"logger_min_status":            int64(1), // level 0 reports every run of every query
	"logger_tls_compress":          true,
	"logger_tls_period":            int64(10),
	"pack_delimiter":               packDelimiter, // pack/PACK/QUERY is one name only
	"schedule_splay_percent":       int64(10),
}

// withheld are options that agents never get: flags that osquery takes from the
// command line only and would warn of at each refresh (osquery-tls 2.6), and
// identifiers, which would change what logs are filed under after enrolment.
var withheld = map[string]bool{
	"allow_unsafe": true, "config_accelerated_refresh": true, "config_check": true, "config_dump": true,
	"config_enable_backup": true, "config_path": true, "config_plugin": true, "config_refresh": true,
	"config_tls_endpoint": true, "config_tls_etag": true, "config_tls_max_attempts": true, "config_tls_refresh": true,
	"daemonize": true, "database_dump": true, "database_path": true, "db_path": true, "disable_carver": true,
	"disable_enrollment": true, "disable_extensions": true, "disable_reenrollment": true, "disable_tables": true,
	"disable_watchdog": true, "enable_extensions_watchdog": true, "enable_tables": true, "flagfile": true, "force": true,
	"install": true, "logger_mode": true, "logger_plugin": true, "logger_stderr": true, "pidfile": true,
	"proxy_hostname": true, "tls_accept_gzip": true, "tls_client_cert": true, "tls_client_key": true,
	"tls_enroll_max_attempts": true, "tls_enroll_max_interval": true, "tls_hostname": true, "tls_server_certs": true,
	"tls_session_reuse": true, "tls_session_timeout": true, "uninstall": true,

	"host_identifier": true, "specified_identifier": true,
}

// withheldPrefixes are families of flags that are all for the command line.
var withheldPrefixes = []string{"carver_", "enroll_", "extensions_", "watchdog_"}

// Withheld returns the names among options that agents do not get, sorted: flags
// for the command line only and host identifiers. They are stored and shown, since
// clients of the original API send them (esp-api 1.1), and have no effect.
func Withheld(options map[string]any) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if isWithheld(name) {
			names = append(names, name)
		}
	}
	return names
}

func isWithheld(name string) bool {
	return withheld[name] || slices.ContainsFunc(withheldPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Options returns the stored options as they were set, whole numbers as int64; an
// empty map when none were. What agents get besides stands in FullConfig.
func (s *Store) Options(ctx context.Context) (map[string]any, error) {
	text, err := storedOptions(ctx, s.db)
	if err != nil || text == "" {
		return map[string]any{}, err
	}
	options, err := readOptions(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "The stored options cannot be read")
	}
	return options, nil
}

// SetOptions replaces the stored options: what is not sent is gone. Values are
// strings, bools and whole numbers (int, int64, float64 or json.Number); names that
// osquery does not know are kept, since agents ignore them. See Withheld for those
// that stay here. Faults: Unprocessable, naming the option.
func (s *Store) SetOptions(ctx context.Context, options map[string]any) error {
	checked, err := checkOptions(options)
	if err != nil {
		return unprocessable(err)
	}
	if err := s.db.SetSetting(ctx, optionsSetting, checked); err != nil {
		return err
	}
	s.changed(ctx)
	return nil
}

// storedOptions reads the text itself: what somebody broke by hand must not look
// like a database that failed.
func storedOptions(ctx context.Context, db *database.DB) (string, error) {
	var texts []string
	err := db.Read(ctx).Raw("SELECT value FROM settings WHERE name = ?", optionsSetting).Scan(&texts).Error
	if err != nil || len(texts) == 0 {
		return "", database.Fault(err)
	}
	return texts[0], nil
}

func readOptions(text string) (map[string]any, error) {
	value, err := decode([]byte(text), 2)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the options are no object")
	}
	return checkOptions(object)
}

var optionName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// checkOptions returns a copy with whole numbers as int64.
func checkOptions(options map[string]any) (map[string]any, error) {
	if len(options) > maxOptions {
		return nil, fmt.Errorf("there are more than %d options", maxOptions)
	}
	checked := make(map[string]any, len(options))
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !optionName.MatchString(name) {
			return nil, fmt.Errorf("%.128q is no name of an option: letters, digits, _ . and - only", name)
		}
		value, err := optionValue(options[name])
		if err != nil {
			return nil, fmt.Errorf("the option %s %w", name, err)
		}
		if text, isText := value.(string); isText && text != "" && holdsSecret(name) {
			return nil, fmt.Errorf("the option %s looks like a secret: options are sent to every agent and shown to every account", name)
		}
		checked[name] = value
	}
	if size := len(appendJSON(nil, checked)); size > maxOptionsBytes {
		return nil, fmt.Errorf("the options have %d bytes, more than %d", size, maxOptionsBytes)
	}
	return checked, nil
}

// holdsSecret reports whether an option of that name would be a secret itself, and
// not the path of one.
func holdsSecret(name string) bool {
	name = strings.ToLower(name)
	secret := strings.Contains(name, "secret") || strings.Contains(name, "password") || strings.Contains(name, "node_key")
	return secret && !strings.HasSuffix(name, "_path") && !strings.HasSuffix(name, "_file")
}

func optionValue(value any) (any, error) {
	switch value := value.(type) {
	case bool:
		return value, nil
	case string:
		if len(value) > maxOptionValue || strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("must be text of at most %d bytes", maxOptionValue)
		}
		return value, nil
	case int:
		return wholeNumber(int64(value))
	case int64:
		return wholeNumber(value)
	case float64:
		if value == math.Trunc(value) && math.Abs(value) <= maxWhole {
			return int64(value), nil
		}
	case json.Number:
		if n, err := strconv.ParseInt(value.String(), 10, 64); err == nil {
			return wholeNumber(n)
		}
	}
	return nil, errNoOption
}

func wholeNumber(n int64) (any, error) {
	if n > maxWhole || n < -maxWhole {
		return nil, errNoOption
	}
	return n, nil
}

// agentOptions are what agents get: each layer over the one before, without what is
// withheld and without empty texts, which agents skip.
func agentOptions(layers ...map[string]any) map[string]any {
	options := map[string]any{}
	for _, layer := range layers {
		for name, value := range layer {
			if !isWithheld(name) && value != "" {
				options[name] = value
			}
		}
	}
	return options
}
