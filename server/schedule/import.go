package schedule

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/server/fault"
)

// maxPacks bounds the packs of one file.
const maxPacks = 200

// errNoPackFile is the original's sentence (esp-api 1.11), and what else would do.
var errNoPackFile error = fault.New(fault.Unprocessable,
	"Queries and name are compulsory! The file is no pack with queries, no osquery config with a schedule or packs, and holds no query specs")

// MakePack reads a pack whose members were sent one by one, by the rules of ParsePack.
func MakePack(name string, members map[string]any) (Pack, []string, error) {
	return ParsePack(name, appendJSON(nil, members))
}

// ParseFile reads the packs that a file holds, which is one of these:
//
//   - a pack in osquery's format, as ParsePack reads it; it gets the name given
//   - an osquery config: its packs, and its schedule with its file_paths as one pack
//     of the name given; other keys belong in a config and are warned of
//   - specs of packs and queries as other managers of osquery keep them, in YAML or
//     JSON: packs of their own names; queries that no pack has become one pack of
//     the name given
//
// Faults and warnings are those of ParsePack. The packs come by name.
func ParseFile(name string, data []byte) ([]Pack, []string, error) {
	if err := checkPackName(name); err != nil {
		return nil, nil, unprocessable(err)
	}
	if len(data) > maxPackFile {
		return nil, nil, fault.New(fault.Unprocessable, "The file is larger than %d bytes", maxPackFile)
	}
	documents, warnings, err := readDocuments(data)
	if err != nil {
		return nil, nil, fault.New(fault.Unprocessable, "The file cannot be read: %s", err)
	}
	packs, err := arrange(name, documents)
	if err != nil {
		return nil, nil, err
	}
	read, more, err := readPacks(packs.members)
	if err != nil {
		return nil, nil, err
	}
	return read, append(append(warnings, packs.warnings...), more...), nil
}

// readPacks reads packs, each by its name, and returns them by name.
func readPacks(members map[string]any) (read []Pack, warnings []string, err error) {
	if len(members) > maxPacks {
		return nil, nil, fault.New(fault.Unprocessable, "The file has more than %d packs", maxPacks)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if err := checkPackName(name); err != nil {
			return nil, nil, unprocessable(fmt.Errorf("pack %q: %w", name, err))
		}
		p, more, err := readPack(name, members[name])
		if err != nil {
			return nil, nil, unprocessable(err)
		}
		read, warnings = append(read, p), append(warnings, more...)
	}
	return read, warnings, nil
}

// readDocuments reads the one document of a JSON file, or those of a YAML file.
func readDocuments(data []byte) ([]any, []string, error) {
	if first := bytes.TrimSpace(stripComments(data)); len(first) == 0 || first[0] == '{' || first[0] == '[' {
		value, warnings, err := decodeFile(data)
		return []any{value}, warnings, err
	}
	documents, err := decodeYAML(data)
	return documents, nil, err
}

// arranged is what a file comes to: the members of each pack by its name.
type arranged struct {
	members  map[string]any
	warnings []string
}

func (r *arranged) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// add notes a pack. Two of one name are a mistake.
func (r *arranged) add(name string, members any) error {
	if _, twice := r.members[name]; twice {
		return fault.New(fault.Unprocessable, "The file has two packs of the name %q", name)
	}
	r.members[name] = members
	return nil
}

func arrange(name string, documents []any) (*arranged, error) {
	r := &arranged{members: map[string]any{}}
	var specs specs
	for _, value := range documents {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, errNoPackFile
		}
		if specs.take(object) {
			continue
		}
		if len(documents) > 1 {
			return nil, fault.New(fault.Unprocessable, "The file has several documents, and one of them is no spec of a pack or query")
		}
		if err := r.osquery(name, object); err != nil {
			return nil, err
		}
	}
	if err := specs.arrange(name, r); err != nil {
		return nil, err
	}
	if len(r.members) == 0 {
		return nil, errNoPackFile
	}
	return r, nil
}

// osquery arranges a pack or a config in osquery's own format.
func (r *arranged) osquery(name string, object map[string]any) error {
	if object["queries"] != nil {
		return r.add(name, object)
	}
	schedule, _ := object["schedule"].(map[string]any)
	packs, _ := object["packs"].(map[string]any)
	if len(schedule) == 0 && len(packs) == 0 {
		return errNoPackFile
	}
	for _, pack := range slices.Sorted(maps.Keys(packs)) {
		if path, isPath := packs[pack].(string); isPath {
			r.warn("pack %q is the file %q on the agent's disk: upload that as well", pack, path)
			continue
		}
		if err := r.add(pack, packs[pack]); err != nil {
			return err
		}
	}
	used := map[string]bool{"packs": true, "schedule": true}
	if len(schedule) > 0 {
		members := map[string]any{"queries": schedule}
		if object["file_paths"] != nil {
			members["file_paths"], used["file_paths"] = object["file_paths"], true
		}
		if _, taken := r.members[name]; taken {
			name += " schedule"
		}
		if err := r.add(name, members); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !used[key] {
			r.warn("%s is part of a config and not of a pack: it is not imported", key)
		}
	}
	return nil
}

// textOf is a member that is a text, else "".
func textOf(object map[string]any, name string) string {
	text, _ := object[name].(string)
	return strings.TrimSpace(text)
}
