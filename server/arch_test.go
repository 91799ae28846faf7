package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// floors says where each package stands. A package imports only lower floors, so
// packages of one floor do not know each other. One that is missing here fails
// the test: think about where it belongs before adding it.
var floors = map[string]int{
	"server": 8, "server/bench": 8, // wiring; imports everyone
	"agentapi": 7, "server/adminapi": 7, "server/exalens": 7, "server/jask": 7, // doors
	"server/pipeline": 6, // the only place where a transaction spans features
	"server/outputs":  5,
	"server/accounts": 4, "server/schedule": 4, "server/results": 4, "server/distributed": 4, "server/carves": 4,
	"server/detect": 4, "server/intel": 4, "server/alerts": 4, "yara": 4, // features
	"server/hosts":     3, // the one noun that every feature may name
	"server/jobs":      2,
	"server/matcher":   2, // many conditions at once
	"server/sigma":     2, // Sigma rules to conditions
	"server/condition": 1, "server/database": 1, "server/bus": 1, "server/httpkit": 1,
	"server/osquery":   1, // what osquery is: its tables and its SQL
	"server/lineage":   1, // trees of processes
	"server/indicator": 1, // what an indicator is, and the form in which two are compared
	"server/seal":      1, // secrets at rest
	"server/dial":      1, // connections to where people send the server
	"server/fault":     0, "migrations": 0, "packs": 0, "certs": 0, "web": 0,
	"rules":         0, // rules that ship with the server
	"server/attack": 0, // the techniques and tactics of MITRE ATT&CK
}

// support holds the packages that exist for tests: what they may import, and who
// but tests may import them.
var support = map[string]struct{ imports, importers []string }{
	"server/database/dbtest":  {imports: []string{"server/database", "migrations"}, importers: []string{"server/bench"}},
	"server/matcher/corpus":   {imports: []string{"server/condition", "server/matcher"}, importers: []string{"server/bench"}},
	"server/outputs/smtptest": {},
	"agentapi/agenttest":      {imports: []string{"server/osquery"}, importers: []string{"server", "server/bench"}},
}

// trials are imports that only tests may have, beside those of lower floors.
var trials = map[string]string{
	"server/bus":       "server/database", // hints that travel through a real PostgreSQL
	"server/condition": "server/database", // the same questions, asked of both engines
}

// rations says who may use a library. A prefix names the library and all below it.
var rations = []struct {
	library string
	why     string
	allowed func(pkg string, test bool) bool
}{
	{"gorm.io/gorm", "doors call features and know no database", func(pkg string, _ bool) bool { return floors[pkg] != 7 }},
	{"gorm.io/driver/", "engines are database's business", only("server/database")},
	// results hands PostgreSQL arrays and partitions, for which gorm has no words: that is the hot path.
	{"github.com/jackc/pgx/", "engines are database's business", only("server/database", "server/database/dbtest", "server/results")},
	// osquery prepares SQL against SQLite as agents do, in memory: that is no storage.
	{"github.com/mattn/go-sqlite3", "engines are database's business", only("server/database", "server/osquery")},
	{"github.com/pressly/goose/", "migrations are database's business", only("server/database")},
	{"github.com/gorilla/websocket", "one door has WebSockets, and the query command talks to it", func(pkg string, test bool) bool {
		return test || pkg == "server/adminapi" || pkg == "server" || pkg == "server/bench"
	}},
	{"github.com/hillu/go-yara", "cgo to libyara stays in one package", only("yara")},
	{"github.com/FastFilter/xorfilter", "sieves belong to the index of what was observed", only("server/results")},
	{"github.com/gaissmai/bart", "networks are looked up where much is matched at once", only("server/intel", "server/matcher")},
	{"github.com/wneessen/go-mail", "mail leaves through outputs", only("server/outputs")},
	{"github.com/twmb/franz-go", "logs are forwarded by outputs", only("server/outputs")},
	{"github.com/minio/minio-go", "logs are forwarded by outputs", only("server/outputs")},
	{"github.com/santhosh-tekuri/jsonschema", "answers are checked in tests", func(_ string, test bool) bool { return test }},
	{"github.com/gin-gonic/", "net/http routes by method and pattern", only()},
}

func only(packages ...string) func(string, bool) bool {
	return func(pkg string, _ bool) bool { return slices.Contains(packages, pkg) }
}

// use is one import in one file.
type use struct {
	pkg, file, imported string
	test                bool
}

const module = "muster/"

func TestFloors(t *testing.T) {
	uses, packages := readImports(t, "..")
	if len(packages) < 5 {
		t.Fatalf("only %d packages were found: the test looks in the wrong place", len(packages))
	}
	for _, complaint := range complaints(uses, packages) {
		t.Error(complaint)
	}
}

// complaints returns what is wrong, one sentence each.
func complaints(uses []use, packages []string) []string {
	var wrong []string
	for _, pkg := range packages {
		_, onFloor := floors[pkg]
		if _, isSupport := support[pkg]; !onFloor && !isSupport {
			wrong = append(wrong, pkg+" stands on no floor")
		}
	}
	for _, u := range uses {
		if reason := forbidden(u); reason != "" {
			wrong = append(wrong, fmt.Sprintf("%s imports %s: %s", u.file, u.imported, reason))
		}
	}
	return wrong
}

// forbidden says why an import is not allowed, or nothing.
func forbidden(u use) string {
	target, ours := strings.CutPrefix(u.imported, module)
	if !ours {
		for _, r := range rations {
			if strings.HasPrefix(u.imported, r.library) && !r.allowed(u.pkg, u.test) {
				return r.why
			}
		}
		return ""
	}
	if target == u.pkg || (u.test && trials[u.pkg] == target) { // an external test of the package
		return ""
	}
	if helper, isSupport := support[target]; isSupport {
		if u.test || slices.Contains(helper.importers, u.pkg) {
			return ""
		}
		return "it exists for tests"
	}
	if own, isSupport := support[u.pkg]; isSupport {
		if u.test || slices.Contains(own.imports, target) {
			return ""
		}
		return fmt.Sprintf("it may import only %v", own.imports)
	}
	if floors[target] >= floors[u.pkg] {
		return fmt.Sprintf("floor %d may import only lower floors, not %d", floors[u.pkg], floors[target])
	}
	return ""
}

// readImports parses every Go file of the module below root.
func readImports(t *testing.T, root string) (uses []use, packages []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(root, path, entry.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(relative))
		if !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			uses = append(uses, use{pkg: pkg, file: relative, imported: imported, test: strings.HasSuffix(path, "_test.go")})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return uses, packages
}

// skip leaves out what is no part of the module: hidden folders, other modules, test data.
func skip(root, path, name string) error {
	if path == root {
		return nil
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	if err == nil || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" {
		return fs.SkipDir
	}
	return nil
}

func TestFloorsTestFindsWhatItIsFor(t *testing.T) {
	for sentence, c := range map[string]struct {
		use  use
		want string
	}{
		"a lower floor is allowed":                    {use{pkg: "server/results", imported: "muster/server/hosts"}, ""},
		"the same floor is refused":                   {use{pkg: "server/results", imported: "muster/server/carves"}, "floor 4 may import only lower floors, not 4"},
		"a higher floor is refused":                   {use{pkg: "server/hosts", imported: "muster/server/pipeline"}, "floor 3 may import only lower floors, not 6"},
		"a higher floor is refused in tests too":      {use{pkg: "server/hosts", imported: "muster/server/pipeline", test: true}, "floor 3 may import only lower floors, not 6"},
		"hints are tried on a real database":          {use{pkg: "server/bus", imported: "muster/server/database", test: true}, ""},
		"hints know no database":                      {use{pkg: "server/bus", imported: "muster/server/database"}, "floor 1 may import only lower floors, not 1"},
		"a package's outside test may import it":      {use{pkg: "server/hosts", imported: "muster/server/hosts", test: true}, ""},
		"a test may use a database":                   {use{pkg: "server/hosts", imported: "muster/server/database/dbtest", test: true}, ""},
		"a store may not use the tests' database":     {use{pkg: "server/hosts", imported: "muster/server/database/dbtest"}, "it exists for tests"},
		"the fake fleet may run from the binary":      {use{pkg: "server", imported: "muster/agentapi/agenttest"}, ""},
		"the fake agent knows nothing of the server":  {use{pkg: "agentapi/agenttest", imported: "muster/server/hosts"}, "it may import only [server/osquery]"},
		"a door knows no database":                    {use{pkg: "agentapi", imported: "gorm.io/gorm"}, "doors call features and know no database"},
		"a feature knows no driver":                   {use{pkg: "server/hosts", imported: "github.com/jackc/pgx/v5/pgxpool"}, "engines are database's business"},
		"osquery may use SQLite's driver":             {use{pkg: "server/osquery", imported: "github.com/mattn/go-sqlite3"}, ""},
		"WebSockets stay in their door":               {use{pkg: "agentapi", imported: "github.com/gorilla/websocket"}, "one door has WebSockets, and the query command talks to it"},
		"a test may be a WebSocket client":            {use{pkg: "server/pipeline", imported: "github.com/gorilla/websocket", test: true}, ""},
		"the standard library is everyone's":          {use{pkg: "server/fault", imported: "net/http"}, ""},
		"nobody routes with anything but net/http":    {use{pkg: "server/httpkit", imported: "github.com/gin-gonic/gin"}, "net/http routes by method and pattern"},
		"a feature may use gorm":                      {use{pkg: "server/hosts", imported: "gorm.io/gorm/clause"}, ""},
		"goose stays where the schema is brought up":  {use{pkg: "server/hosts", imported: "github.com/pressly/goose/v3"}, "migrations are database's business"},
		"the bottom floor imports nothing of ours":    {use{pkg: "server/fault", imported: "muster/migrations"}, "floor 0 may import only lower floors, not 0"},
		"one door does not go through another's door": {use{pkg: "server/jask", imported: "muster/server/adminapi"}, "floor 7 may import only lower floors, not 7"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := forbidden(c.use); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	got := complaints(nil, []string{"server/fault", "server/util"})
	if diff := cmp.Diff([]string{"server/util stands on no floor"}, got); diff != "" {
		t.Error(diff)
	}
}
