package yara

import (
	"bytes"
	"fmt"
	"strings"

	"muster/server/hosts"
)

// cachedSets bounds the memory of sets, in bytes.
const cachedSets = 64 << 20

// Set returns the rules of every file that a host gets as one text, in the order of
// their names. A file that cannot stand beside those before it is left out, with a
// comment that says why: one whose rules' names are taken, one with a global rule
// (it would decide over the rules of the others), and one too many for what agents
// take. The text must not be changed. It costs no SQL.
func (s *Store) Set(host *hosts.Host) []byte {
	now := s.current.Load()
	var files []held
	var key strings.Builder
	for _, f := range now.files {
		if f.entitled(host) {
			files = append(files, f)
			fmt.Fprintf(&key, "%d ", f.ID)
		}
	}
	now.mu.Lock()
	defer now.mu.Unlock()
	if set, found := now.sets[key.String()]; found {
		return set
	}
	set := join(files)
	if now.bytes += len(set); now.bytes > cachedSets {
		clear(now.sets)
		now.bytes = len(set)
	}
	if now.sets != nil {
		now.sets[key.String()] = set
	}
	return set
}

// join writes files behind each other.
func join(files []held) []byte {
	var out bytes.Buffer
	out.WriteString("// The YARA rules for this host.\n")
	room := MaxContent - out.Len() - 512*len(files) // what is said of each, at most
	rules, modules := map[string]string{}, map[string]string{}
	for _, f := range files {
		if problem := clash(f, rules, modules, len(files) > 1); problem != "" {
			fmt.Fprintf(&out, "// Left out: %s, %s.\n", f.Name, problem)
			continue
		}
		if len(f.text) > room {
			fmt.Fprintf(&out, "// Left out: %s, for which there is no room.\n", f.Name)
			continue
		}
		room -= len(f.text)
		for _, name := range f.outline.rules {
			rules[name] = f.Name
		}
		for _, name := range f.outline.imports {
			modules[name] = f.Name
		}
		fmt.Fprintf(&out, "\n// %s\n", f.Name)
		out.Write(f.text)
		out.WriteString("\n")
	}
	return out.Bytes()
}

// clash says why a file cannot stand beside those before it, or nothing. Rules and
// modules share their names.
func clash(f held, rules, modules map[string]string, beside bool) string {
	if f.outline.global && beside {
		return "which has a global rule"
	}
	for _, name := range f.outline.rules {
		if other := rules[name] + modules[name]; other != "" {
			return fmt.Sprintf("because the name %s is taken by %s", clip(name), other)
		}
	}
	for _, name := range f.outline.imports {
		if other := rules[name]; other != "" {
			return fmt.Sprintf("because the name %s is taken by %s", clip(name), other)
		}
	}
	return ""
}

// clip keeps a comment short: names have at most 128 bytes.
func clip(name string) string { return name[:min(len(name), 128)] }
