package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// envPrefix starts the name of every environment variable that is a setting.
const envPrefix = "MUSTER_"

func flagName(name string) string { return strings.ReplaceAll(name, "_", "-") }
func envName(name string) string  { return envPrefix + strings.ToUpper(name) }

// given is a value with the layer it came from. The origin is what a person has
// to look at when the value is wrong.
type given struct {
	value  string
	origin string
}

// layer holds what one source says, by the setting's name or NAME_file.
type layer map[string]given

// loadConfig puts the layers together for one command: flags, environment, file, defaults.
// Errors name the setting and where its value came from, and never show a secret.
func loadConfig(command string, flags layer, environ []string) (Config, error) {
	var c Config
	if !slices.Contains(everywhere, command) {
		return c, nil // help and version work whatever the settings are
	}
	env, ignored := environment(environ)
	c.Ignored = ignored
	c.Data = "./data"
	// The file is looked for below data, so both are settled before it is read.
	for _, s := range settings {
		if s.name == "config" || s.name == "data" {
			if err := s.resolve(&c, flags, env); err != nil {
				return c, err
			}
		}
	}
	file, err := readFile(&c)
	if err != nil {
		return c, err
	}
	for _, s := range settings {
		if s.name == "config" || !s.usedBy(command) {
			continue
		}
		if err := s.resolve(&c, flags, env, file); err != nil {
			return c, err
		}
	}
	c.derive(command)
	if command == cmdServe {
		return c, c.check()
	}
	return c, nil
}

// check looks at the server's settings that depend on each other.
func (c Config) check() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("tls_cert and tls_key belong together: set both or neither")
	}
	if c.AgentListen != "" && c.AgentListen == c.Listen {
		return errors.New("agent_listen is the same address as listen: leave it out to serve agents there")
	}
	if c.MetricsListen != "" && (c.MetricsListen == c.Listen || c.MetricsListen == c.AgentListen) {
		return errors.New("metrics_listen needs an address of its own")
	}
	return c.checkDownloads()
}

// resolve takes the setting from the first layer that has it, else its default.
func (s setting) resolve(c *Config, layers ...layer) error {
	for _, l := range layers {
		value, found, err := s.pick(l)
		if err != nil {
			return err
		}
		if found {
			return s.apply(c, value)
		}
	}
	if s.derived || s.fallback == "" {
		return nil
	}
	return s.apply(c, given{value: s.fallback, origin: "default"})
}

// pick finds the setting in one layer, as a value or as the name of a file with it.
func (s setting) pick(l layer) (given, bool, error) {
	direct, isDirect := l[s.name]
	named, isNamed := l[s.name+"_file"]
	if isNamed = isNamed && s.fromFile(); !isNamed {
		return direct, isDirect, nil
	}
	if isDirect {
		return given{}, false, fmt.Errorf("%s: %s and %s are both set: choose one", s.name, direct.origin, named.origin)
	}
	content, err := os.ReadFile(named.value)
	if err != nil {
		return given{}, false, fmt.Errorf("%s: %s: %w", s.name, named.origin, err)
	}
	value := strings.TrimRight(string(content), "\r\n")
	if value == "" {
		return given{}, false, fmt.Errorf("%s: %s: %s is empty", s.name, named.origin, named.value)
	}
	return given{value: value, origin: named.origin}, true, nil
}

func (s setting) apply(c *Config, g given) error {
	err := s.set(c, g.value)
	switch {
	case err == nil:
		return nil
	case s.fromFile():
		return fmt.Errorf("%s: the value from %s %w", s.name, g.origin, err)
	}
	return fmt.Errorf("%s: %q from %s %w", s.name, g.value, g.origin, err)
}

// environment picks the settings out of the environment. An empty variable
// counts as not set: compose files and unit files cannot leave one out.
func environment(environ []string) (layer, []string) {
	known := map[string]string{}
	for _, s := range settings {
		known[envName(s.name)] = s.name
		if s.fromFile() {
			known[envName(s.name)+"_FILE"] = s.name + "_file"
		}
	}
	values, ignored := layer{}, []string(nil)
	for _, pair := range environ {
		variable, value, _ := strings.Cut(pair, "=")
		name, found := known[variable]
		switch {
		case value == "":
		case found:
			values[name] = given{value: value, origin: variable}
		case strings.HasPrefix(variable, envPrefix) && !foreign(variable):
			ignored = append(ignored, variable)
		}
	}
	slices.Sort(ignored)
	return values, ignored
}

// foreign tells the variables of our tests and those that Kubernetes makes for a
// service called muster.
func foreign(variable string) bool {
	for _, prefix := range []string{"MUSTER_TEST_", "MUSTER_SERVICE_", "MUSTER_PORT"} {
		if strings.HasPrefix(variable, prefix) {
			return true
		}
	}
	return false
}

// readFile reads the file that --config names, or the one in the data folder if there is one.
func readFile(c *Config) (layer, error) {
	named := c.File != ""
	if !named {
		c.File = filepath.Join(c.Data, "muster.yaml")
	}
	content, err := os.ReadFile(c.File)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		c.File = ""
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	}
	values, err := parseFile(c.File, content)
	if err != nil {
		return nil, err
	}
	if _, sets := values["data"]; sets && !named {
		return nil, fmt.Errorf("%s: data cannot be set in the file that was found inside data: name the file with --config", c.File)
	}
	return values, nil
}

// parseFile reads a flat YAML mapping. A list may be written as a YAML list or
// with commas.
func parseFile(name string, content []byte) (layer, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	values := layer{}
	if document.IsZero() || document.Content[0].Tag == "!!null" {
		return values, nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: is not made of lines such as log_level: debug", name)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i].Value, root.Content[i+1]
		origin := fmt.Sprintf("%s:%d", name, root.Content[i].Line)
		value, err := scalar(node)
		_, twice := values[key]
		switch {
		case !inFile(key):
			return nil, fmt.Errorf("%s: %q is no setting", origin, key)
		case twice:
			return nil, fmt.Errorf("%s: %s is set twice", origin, key)
		case err != nil:
			return nil, fmt.Errorf("%s: %s %w", origin, key, err)
		case node.Tag != "!!null":
			values[key] = given{value: value, origin: origin}
		}
	}
	return values, nil
}

// inFile reports whether a file may hold the key.
func inFile(key string) bool {
	return key != "config" && slices.ContainsFunc(settings, func(s setting) bool {
		return key == s.name || (s.fromFile() && key == s.name+"_file")
	})
}

func scalar(node *yaml.Node) (string, error) {
	if node.Kind == yaml.ScalarNode {
		return node.Value, nil
	}
	if node.Kind != yaml.SequenceNode {
		return "", errors.New("is not a single value or a list")
	}
	var parts []string
	for _, part := range node.Content {
		if part.Kind != yaml.ScalarNode {
			return "", errors.New("is a list of something else than single values")
		}
		parts = append(parts, part.Value)
	}
	return strings.Join(parts, ","), nil
}
