package agenttest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"regexp"
	"slices"
	"strings"
)

// Constraints on path columns, as text: an agent's tables are driven by them.
var (
	pathEquals  = regexp.MustCompile(`(?i)\b(path|directory)\s*(?:=|like|glob)\s*'((?:[^']|'')*)'`)
	pathIn      = regexp.MustCompile(`(?i)\b(path|directory)\s+in\s*\(([^)]*)\)`)
	quotedText  = regexp.MustCompile(`'((?:[^']|'')*)'`)
	carveWanted = regexp.MustCompile(`(?i)\bcarve\s*=\s*'?1\b`)
	neverOnDisk = regexp.MustCompile(`(?i)missing|nonexist|does[-_]not[-_]exist`)
)

// asked returns the texts that sql compares path (or directory) with.
func asked(sql, column string) []string {
	var texts []string
	for _, match := range pathEquals.FindAllStringSubmatch(sql, -1) {
		if strings.EqualFold(match[1], column) {
			texts = append(texts, strings.ReplaceAll(match[2], "''", "'"))
		}
	}
	for _, match := range pathIn.FindAllStringSubmatch(sql, -1) {
		if strings.EqualFold(match[1], column) {
			for _, text := range quotedText.FindAllStringSubmatch(match[2], -1) {
				texts = append(texts, strings.ReplaceAll(text[1], "''", "'"))
			}
		}
	}
	return texts
}

// matching returns the files that a path, or a pattern with % and %%, names on
// this host. Paths whose name says that they are missing are; every other one
// exists.
func (v *view) matching(pattern string) []string {
	if neverOnDisk.MatchString(pattern) || pattern == "" {
		return nil
	}
	if !strings.Contains(pattern, "%") {
		return []string{pattern}
	}
	expression := regexp.QuoteMeta(pattern)
	expression = strings.ReplaceAll(expression, "%%", "\x00")
	expression = strings.ReplaceAll(expression, "%", `[^/\\]*`)
	expression = "^" + strings.ReplaceAll(expression, "\x00", ".*") + "$"
	matches, err := regexp.Compile(expression)
	if err != nil {
		return nil
	}
	var found []string
	for _, path := range v.knownFiles() {
		if matches.MatchString(path) {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		found = append(found, strings.NewReplacer("%%", "one.txt", "%", "one.txt").Replace(pattern),
			strings.NewReplacer("%%", "two.log", "%", "two.log").Replace(pattern))
	}
	return found
}

// knownFiles are the programs and a few more.
func (v *view) knownFiles() []string {
	var paths []string
	for _, p := range v.processes() {
		if strings.ContainsAny(p.path, `/\`) {
			paths = append(paths, p.path)
		}
	}
	for _, p := range passingPrograms[v.platform] {
		paths = append(paths, p.path)
	}
	if v.platform == Windows {
		paths = append(paths, `C:\Windows\System32\drivers\etc\hosts`, `C:\Users\`+v.people[0]+`\notes.txt`)
	} else {
		paths = append(paths, "/etc/hosts", "/etc/passwd", "/etc/ssh/sshd_config", "/etc/crontab")
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// wanted are the files a query is about: those it names, else those known, for
// joins with other tables.
func (v *view) wanted() []string {
	var paths []string
	patterns := asked(v.look.sql, "path")
	for _, directory := range asked(v.look.sql, "directory") {
		patterns = append(patterns, strings.TrimRight(directory, `/\`)+"/%")
	}
	if len(patterns) == 0 {
		return v.knownFiles()
	}
	for _, pattern := range patterns {
		paths = append(paths, v.matching(pattern)...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func directoryOf(path string) (directory, name string) {
	cut := strings.LastIndexAny(path, `/\`)
	if cut <= 0 {
		return path[:cut+1], path[cut+1:]
	}
	return path[:cut], path[cut+1:]
}

func fileRows(v *view) []record {
	var rows []record
	for i, path := range v.wanted() {
		directory, name := directoryOf(path)
		content := v.content(path)
		at := num(v.boot.Unix() - 86400)
		row := record{
			"path": path, "directory": directory, "filename": name, "inode": num(200000 + i), "uid": "0", "gid": "0", "mode": "0644",
			"device": "0", "size": num(len(content)), "block_size": "4096", "atime": at, "mtime": at, "ctime": at, "btime": at,
			"hard_links": "1", "symlink": "0", "type": "regular", "symlink_target_path": "",
		}
		if v.platform == Windows && strings.HasSuffix(name, ".exe") {
			row["original_filename"] = strings.ToUpper(name[:1]) + name[1:]
		}
		rows = append(rows, row)
	}
	return rows
}

func hashRows(v *view) []record {
	var rows []record
	for _, path := range v.wanted() {
		directory, _ := directoryOf(path)
		content := v.content(path)
		rows = append(rows, record{
			"path": path, "directory": directory, "md5": contentHash("md5", content),
			"sha1": contentHash("sha1", content), "sha256": contentHash("sha256", content),
		})
	}
	return rows
}

// content is what a file holds: as the options say, else made up from its path,
// the same on every host.
func (v *view) content(path string) []byte {
	if given, ok := v.agent.opt.Files[path]; ok {
		return given
	}
	line := "# " + path + "\n"
	r := seeded(int64(len(path)), path)
	return []byte(strings.Repeat(line, 1+r.IntN(20_000/len(line)+1)))
}

func contentHash(kind string, content []byte) string {
	var h hash.Hash
	switch kind {
	case "md5":
		h = md5.New()
	case "sha1":
		h = sha1.New()
	default:
		h = sha256.New()
	}
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}
