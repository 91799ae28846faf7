package attack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What a list of ids may hold.
const (
	maxListBytes = 16 << 10
	maxIDs       = 200
)

// ParseIDs reads technique ids in any form that people and programs give them:
// each part is an id, a list with commas, semicolons or blanks between ("T1070,
// T1059.001"), or a JSON array of ids as text. Ids come back in MITRE's writing,
// in the order given, each once; no id is an empty list, never nil. Only the form
// counts: ids that Find does not know, of later versions of ATT&CK, are taken.
//
// The error's text may be shown to whoever sent the list.
func ParseIDs(parts ...string) ([]string, error) {
	ids := []string{}
	size := 0
	for _, part := range parts {
		if size += len(part); size > maxListBytes {
			return nil, fmt.Errorf("technique ids are limited to %d bytes", maxListBytes)
		}
		words, err := split(part)
		if err != nil {
			return nil, err
		}
		for _, word := range words {
			id := strings.ToUpper(word)
			if !wellFormed(id) {
				return nil, fmt.Errorf("%q is no technique id such as T1059 or T1059.001", clip(word))
			}
			if slices.Contains(ids, id) {
				continue
			}
			if len(ids) == maxIDs {
				return nil, fmt.Errorf("more than %d technique ids", maxIDs)
			}
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// split cuts a part into words.
func split(part string) ([]string, error) {
	part = strings.TrimSpace(part)
	if strings.HasPrefix(part, "[") {
		var list []string
		if err := json.Unmarshal([]byte(part), &list); err != nil {
			return nil, fmt.Errorf("%q is no JSON array of technique ids", clip(part))
		}
		part = strings.Join(list, ",")
	}
	return strings.FieldsFunc(part, func(c rune) bool { return strings.ContainsRune(",; \t\r\n", c) }), nil
}

// wellFormed is Tdddd or Tdddd.ddd.
func wellFormed(id string) bool {
	digits := func(s string, n int) bool {
		return len(s) == n && strings.Trim(s, "0123456789") == ""
	}
	parent, sub, isSub := strings.Cut(id, ".")
	return strings.HasPrefix(parent, "T") && digits(parent[1:], 4) && (!isSub || digits(sub, 3))
}

func clip(text string) string {
	if len(text) <= 40 {
		return text
	}
	return strings.ToValidUTF8(text[:40], "") + "..."
}

// FromTags reads the ATT&CK tags of a Sigma rule: techniques ("attack.t1059.001")
// as ids, and tactics ("attack.defense-evasion", in the older writing with an
// underscore) as short names, each once and in the order given. Other tags, those
// of groups and software too, are passed over.
func FromTags(tags []string) (ids, tactics []string) {
	for _, tag := range tags {
		name, isAttack := strings.CutPrefix(strings.ToLower(strings.TrimSpace(tag)), "attack.")
		if !isAttack {
			continue
		}
		short := strings.ReplaceAll(name, "_", "-")
		switch id := strings.ToUpper(name); {
		case wellFormed(id):
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		case slices.ContainsFunc(AllTactics(), func(t Tactic) bool { return t.Short == short }):
			if !slices.Contains(tactics, short) {
				tactics = append(tactics, short)
			}
		}
	}
	return ids, tactics
}
