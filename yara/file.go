package yara

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"muster/server/fault"
	"muster/server/hosts"
)

const (
	// MaxContent is the size of the largest file in bytes: agents take no more.
	MaxContent = 8 << 20

	maxName  = 100      // bytes
	maxFiles = 500      // in all
	maxTotal = 64 << 20 // bytes of all contents together: they are kept in memory
)

// The failures of files, in the words of the ESP reference, section 1.6.
var (
	errExtension error = fault.New(fault.Unprocessable, "Please upload only yara(.yara/.yar) files!")
	errExists    error = fault.New(fault.Conflict, "This file already exists")
	errUnknown   error = fault.New(fault.NotFound, "File with the given file name doesnot exists")
)

// File is a stored file of rules.
type File struct {
	ID       int64
	Name     string // lower case, with its extension
	Token    string // the part of its address that cannot be guessed; it stays when the file is replaced
	Content  string // left out in lists
	SHA256   string // of Content, hex
	Rules    int    // how many rules it holds
	Username string // who stored it last; empty when it came with the server
	Tags     []hosts.Tag
	Created  time.Time
	Updated  time.Time
}

// NewFile is a file to store.
type NewFile struct {
	Name     string
	Content  string
	Username string
	// Tags are whose hosts get the file; without any, every host does. nil leaves
	// those of a file that is replaced as they are.
	Tags []string
	// Replace allows to store it in place of the file of this name.
	Replace bool
}

// cleanName returns the name under which a file is kept. Folders in front of it are
// dropped, as browsers differ in whether they send them.
func cleanName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name[strings.LastIndexAny(name, `/\`)+1:]))
	if ext := path.Ext(name); ext != ".yar" && ext != ".yara" {
		return "", errExtension
	}
	stem := strings.TrimSuffix(name, path.Ext(name))
	if strings.Trim(stem, ".") == "" || strings.HasPrefix(stem, ".") || len(name) > maxName || strings.IndexFunc(name, foreign) >= 0 {
		return "", fault.New(fault.Unprocessable,
			"A file's name has at most %d letters, digits, dots, underscores and hyphens, and does not start with a dot", maxName)
	}
	return name, nil
}

// foreign tells what no name holds: all of it goes into addresses as it is.
func foreign(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
}

// cleanContent returns the text to store. A byte order mark is dropped: YARA does
// not know it.
func cleanContent(content string) (string, error) {
	content = strings.TrimPrefix(content, "\uFEFF")
	switch {
	case strings.TrimSpace(content) == "":
		return "", fault.New(fault.Unprocessable, "The file is empty")
	case len(content) > MaxContent:
		return "", fault.New(fault.Unprocessable, "The file is larger than %d bytes, which is all that agents take", MaxContent)
	case !utf8.ValidString(content) || strings.IndexByte(content, 0) >= 0:
		return "", fault.New(fault.Unprocessable, "The file is no text in UTF-8")
	}
	return content, nil
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}
