package agenttest

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/valyala/fastjson"
)

const (
	maxConfigDepth = 32
	maxInterval    = 604800
)

// document is a config as parsed, before any rule about this host. It is shared
// between agents that got the same bytes: nobody modifies it.
type document struct {
	compactHash [sha1.Size]byte
	size, depth int
	options     []option
	packs       []pack // the first is main, the schedule
	decorators  decorators
	filePaths   map[string][]string
	signatures  []string // patterns of yara.signature_urls
	etag        string
	raw         []byte
	empty       bool // neither schedule nor packs nor options: not a config
}

type option struct{ name, value string }

type pack struct {
	name, platform, version string
	shard                   int
	discovery               []string
	queries                 []scheduled
	filePaths               map[string][]string
}

// scheduled is one query of a schedule.
type scheduled struct {
	name, sql, platform, version string
	interval, shard, priority    int
	snapshot, removed, denylist  bool
	hasPriority                  bool
	warning                      string // why it is refused, if it is
}

// documents holds the configs parsed last: a fleet gets few different ones.
var documents = struct {
	sync.Mutex
	byBody map[[sha1.Size]byte]*document
}{byBody: map[[sha1.Size]byte]*document{}}

const documentsKept = 64

// parseDocument reads a config body, which must be strict JSON of an object.
func parseDocument(body []byte) (*document, error) {
	key := sha1.Sum(body)
	documents.Lock()
	defer documents.Unlock()
	if kept := documents.byBody[key]; kept != nil {
		return kept, nil
	}
	object, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	d := readDocument(object)
	d.raw = slices.Clone(body)
	if len(documents.byBody) >= documentsKept {
		clear(documents.byBody)
	}
	documents.byBody[key] = d
	return d, nil
}

func readDocument(object *fastjson.Object) *document {
	etag := stringOf(object.Get("etag"))
	if etag != "" {
		object.Del("etag") // it is taken out before the config is looked at
	}
	compact := appendCompactObject(nil, object)
	d := &document{compactHash: sha1.Sum(compact), size: len(compact), depth: 1}
	object.Visit(func(_ []byte, item *fastjson.Value) { d.depth = max(d.depth, depth(item)+1) })
	d.empty = object.Get("schedule") == nil && object.Get("packs") == nil && object.Get("options") == nil
	d.etag = etag
	d.filePaths = readLists(object.Get("file_paths"))
	if yara := object.Get("yara"); yara != nil {
		for _, item := range yara.GetArray("signature_urls") {
			d.signatures = append(d.signatures, stringOf(item))
		}
	}
	d.decorators = readDecorators(object.Get("decorators"))
	visit(object.Get("options"), func(name string, item *fastjson.Value) {
		d.options = append(d.options, option{name, textOf(item)})
	})
	d.packs = append(d.packs, pack{name: mainPack, queries: readQueries(object.Get("schedule"))})
	visit(object.Get("packs"), func(name string, item *fastjson.Value) {
		if item.Type() == fastjson.TypeObject { // a name to load is for other config plugins
			d.packs = append(d.packs, readPack(name, item))
		}
	})
	return d
}

// mainPack is the pack that osquery makes of the schedule.
const mainPack = "main"

func readPack(name string, value *fastjson.Value) pack {
	p := pack{name: name, platform: textOf(value.Get("platform")), version: textOf(value.Get("version"))}
	p.shard, _ = intOf(value.Get("shard"))
	for _, item := range value.GetArray("discovery") {
		p.discovery = append(p.discovery, stringOf(item))
	}
	p.queries = readQueries(value.Get("queries"))
	p.filePaths = readLists(value.Get("file_paths"))
	return p
}

func readQueries(value *fastjson.Value) []scheduled {
	var queries []scheduled
	known := map[string]bool{}
	visit(value, func(name string, item *fastjson.Value) {
		if !known[name] { // a repeated name is never looked up
			known[name] = true
			queries = append(queries, readQuery(name, item))
		}
	})
	slices.SortFunc(queries, func(x, y scheduled) int { return cmp.Compare(x.name, y.name) })
	return queries
}

// readQuery applies the field rules of section 2.4.
func readQuery(name string, value *fastjson.Value) scheduled {
	q := scheduled{
		name: name, sql: stringOf(value.Get("query")),
		platform: textOf(value.Get("platform")), version: textOf(value.Get("version")),
		snapshot: boolOf(value.Get("snapshot"), false),
		removed:  boolOf(value.Get("removed"), true),
		denylist: boolOf(value.Get("denylist"), true),
	}
	q.shard, _ = intOf(value.Get("shard"))
	q.priority, q.hasPriority = intOf(value.Get("startup_priority"))
	interval := value.Get("interval")
	var ok bool
	if q.interval, ok = intOf(interval); interval == nil {
		q.interval, ok = -1, true // schedule_default_interval
	}
	switch {
	case q.sql == "":
		q.warning = "Query " + name + " has no SQL"
	case !ok || q.interval == 0 || q.interval < -1 || q.interval > maxInterval:
		q.warning = "Query has invalid interval: " + name
	}
	return q
}

// reservedName tells names that would collide with keys of osquery's database.
func reservedName(name string) bool {
	for _, prefix := range []string{"query.", "cache.", "config_views."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.HasSuffix(name, "epoch") || strings.HasSuffix(name, "counter")
}

func readLists(value *fastjson.Value) map[string][]string {
	lists := map[string][]string{}
	visit(value, func(name string, item *fastjson.Value) {
		for _, entry := range item.GetArray() {
			lists[name] = append(lists[name], stringOf(entry))
		}
	})
	return lists
}

// visit calls each for the members of an object, in their order.
func visit(value *fastjson.Value, each func(name string, item *fastjson.Value)) {
	if value == nil || value.Type() != fastjson.TypeObject {
		return
	}
	value.GetObject().Visit(func(name []byte, item *fastjson.Value) { each(string(name), item) })
}

// textOf is a scalar as text; null and absent are empty.
func textOf(value *fastjson.Value) string {
	if value == nil {
		return ""
	}
	switch value.Type() {
	case fastjson.TypeString:
		return stringOf(value)
	case fastjson.TypeNull:
		return ""
	default:
		return value.String()
	}
}

// intOf reads an integer or a numeric string. A JSON float is none.
func intOf(value *fastjson.Value) (int, bool) {
	n, err := strconv.Atoi(textOf(value))
	return n, err == nil
}

func boolOf(value *fastjson.Value, missing bool) bool {
	if value == nil {
		return missing
	}
	if value.Type() == fastjson.TypeNumber {
		return value.GetInt() != 0
	}
	return truthy(textOf(value))
}

// errConfigRefused covers what osquery logs as an invalid config.
var errConfigRefused = errors.New("config is too big or too deep")

// configHash is osquery_info.config_hash: SHA-1 of the sources' hex hashes.
func (d *document) configHash() string {
	sum := sha1.Sum([]byte(hex.EncodeToString(d.compactHash[:])))
	return hex.EncodeToString(sum[:])
}

// queryCount is the number of queries before any rule about a host.
func (d *document) queryCount() int {
	n := 0
	for _, p := range d.packs {
		n += len(p.queries)
	}
	return n
}

// categories are the file paths of the document and of the given packs.
func (d *document) categories(active []pack) map[string][]string {
	all := map[string][]string{}
	maps.Copy(all, d.filePaths)
	for _, p := range active {
		for category, paths := range p.filePaths {
			all[category] = append(slices.Clone(all[category]), paths...)
		}
	}
	return all
}
