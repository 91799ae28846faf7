package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"muster/server/httpkit"
)

// field makes the setter of one field from the parser of its kind. Parsers'
// errors say what is wrong without repeating the value: it may be a secret, and
// whoever reports the error adds it when it may be shown.
func field[T any](at func(*Config) *T, parse func(string) (T, error)) func(*Config, string) error {
	return func(c *Config, text string) error {
		value, err := parse(text)
		if err == nil {
			*at(c) = value
		}
		return err
	}
}

func parseText(s string) (string, error) { return s, nil }

func parsePath(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return filepath.Clean(s), nil
}

// parseAddress takes HOST:PORT, where HOST may be empty: every address of the machine.
func parseAddress(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", errors.New("is not HOST:PORT")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errors.New("has no port between 0 and 65535")
	}
	return s, nil
}

func parseDatabaseURL(s string) (string, error) {
	for _, scheme := range []string{"sqlite://", "postgres://", "postgresql://"} {
		if len(s) > len(scheme) && strings.HasPrefix(s, scheme) {
			return s, nil
		}
	}
	return "", errors.New("is neither sqlite://PATH nor postgres://USER:PASSWORD@HOST/NAME")
}

func parseServerURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", errors.New("is not https://HOST:PORT")
	}
	return "https://" + u.Host, nil
}

// parseList takes values separated by commas.
func parseList(s string) ([]string, error) {
	var values []string
	for _, value := range strings.Split(s, ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values, nil
}

// parseFolders takes absolute paths.
func parseFolders(s string) ([]string, error) {
	values, err := parseList(s)
	for i, value := range values {
		if !filepath.IsAbs(value) {
			return nil, errors.New("holds a path that is not absolute")
		}
		values[i] = filepath.Clean(value)
	}
	return values, err
}

func parseOrigins(s string) ([]string, error) {
	values, err := parseList(s)
	for i, value := range values {
		u, err := url.Parse(value)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return nil, errors.New("holds something that is not https://HOST or http://HOST")
		}
		values[i] = u.Scheme + "://" + u.Host
	}
	return values, err
}

// parseProxies takes addresses and networks in CIDR form.
func parseProxies(s string) (httpkit.Proxies, error) {
	values, err := parseList(s)
	if err != nil {
		return nil, err
	}
	proxies, err := httpkit.ParseProxies(values)
	if err != nil {
		return nil, errors.New("holds something that is neither an address nor a network such as 10.0.0.0/8")
	}
	return proxies, nil
}

func parseLevel(s string) (slog.Level, error) {
	name, err := parseOneOf("debug", "info", "warn", "error")(s)
	if err != nil {
		return 0, err
	}
	var l slog.Level
	return l, l.UnmarshalText([]byte(name))
}

func parseOneOf(choices ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, choice := range choices {
			if strings.EqualFold(s, choice) {
				return choice, nil
			}
		}
		return "", fmt.Errorf("is not %s or %s", strings.Join(choices[:len(choices)-1], ", "), choices[len(choices)-1])
	}
}

// parseDays takes whole days; 0 is for ever.
func parseDays(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, errors.New("is not a whole number of days from 0 to 65535")
	}
	return time.Duration(n) * day, nil
}

// parseSize takes bytes, or a number with one of the units KiB, MiB, GiB.
func parseSize(s string) (int64, error) {
	units := []struct {
		suffix string
		bytes  int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}
	for _, unit := range units {
		digits, found := strings.CutSuffix(s, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64/unit.bytes {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, errors.New("is not a size such as 65536, 64KiB, 16MiB or 8GiB")
}
