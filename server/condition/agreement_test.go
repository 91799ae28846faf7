package condition_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// oddTexts are values that have told engines apart before.
var oddTexts = []string{
	"", " ", "a", "A", "abc", "ABC", "aBcabC", "abcd", "xabc", "e", "E", "/usr/bin/curl", "C:\\Windows\\System32\\cmd.exe", "c:\\windows",
	"İ", "i", "I", "ı", "ß", "SS", "é", "É", "e\u0301", "日本", "日本語", "😀", "naïve", "K", "%", "_", "a%c", "a_c", "100%", "'", "''", `"`, `a"b`, "?", "a?c", "[abc]", "[", "]", "*", "a*c",
	"$", "@name", ":x", "{}", "{a}", "null", "true", "false", "line\nbreak", "line\n", "tab\t", "\x7f", "\x01",
	"0", "-0", "00", "7", "007", "-7", "10", "9", "42", "42.0", "42.00001", "4.2", "4.20", ".5", "0.5", "-0.5", "1.", "1e3", "1E3", "1000", " 1", "1 ", "+1", "--1", "1.2.3", "0x10", "1_000", "٣", "-", ".",
	"9007199254740993", "9007199254740992", "9223372036854775807", "9223372036854775808", "18446744073709551615", "-9223372036854775809",
	"0.1", "0.10000000000000000000000000000001", "NaN", "Infinity", "-inf",
	strings.Repeat("9", 64), strings.Repeat("9", 65), "-" + strings.Repeat("9", 63), "-" + strings.Repeat("9", 64), strings.Repeat("0", 63) + "7", strings.Repeat("1", 400),
	strings.Repeat("long ", 2000) + "End",
}

// oddJSON are values that are no texts, and texts that JSON can write in two ways.
var oddJSON = []string{
	`null`, `true`, `false`, `0`, `-0`, `7`, `42`, `42.0`, `1e3`, `1E+3`, `-0.50`, `12345678901234567890.10`, `18446744073709551615`,
	`{"x":[1,2]}`, `{"k":"abcd"}`, `"{\"k\":\"abcd\"}"`, `"{\"k\":\"ab\\u0063d\"}"`, `"10.1.2.3"`, `"fe80::1%1"`, `[]`, `{}`, `"\/usr\/bin\/curl"`, `"\u0041BC"`, `"\u0041bcd"`, `"ab\u0063d"`, `"x\/abcd"`, `{"k":"abcd"}`, `"\u00e9"`, `"\ud83d\ude00"`, `"\u0130"`,
}

// oddNames are columns whose names mean something in a path.
var oddNames = []string{"v", "V", "a.b", "$", "$.v", "a\"b", "a\\b", "a'b", "[0]", "0", "#", "#-1", "*", "%", "é", "日本", "a b", "a\tb", "column", "@v", "?"}

type sample struct{ name, columns string }

func samples() []sample {
	rows := []sample{{"q", `{}`}, {"Q", `{"other":"x"}`}, {"", ` { "v" : "abc" , "w" : "42" } `}, {"é", `{"\u0076":"abc"}`}}
	object := func(members ...string) string { return "{" + strings.Join(members, ",") + "}" }
	quoted := func(s string) string {
		text, _ := json.Marshal(s)
		return string(text)
	}
	for i, text := range oddTexts {
		rows = append(rows, sample{text, object(`"v":`+quoted(text), `"w":`+quoted(oddTexts[(i*7+3)%len(oddTexts)]))})
	}
	for i, value := range oddJSON {
		rows = append(rows, sample{"pack/main/x", object(`"w":`+oddJSON[(i+5)%len(oddJSON)], `"v":`+value)})
	}
	for i, name := range oddNames {
		rows = append(rows, sample{fmt.Sprint(i), object(quoted(name)+`:"abc"`, `"z":"`+fmt.Sprint(i)+`"`)})
	}
	return rows
}

// store keeps the samples in a table, ids from 1.
func store(t testing.TB, db *database.DB, rows []sample) {
	t.Helper()
	write := db.Write(context.Background())
	if err := write.Exec("CREATE TABLE trial (id integer PRIMARY KEY, name text NOT NULL, columns text NOT NULL)").Error; err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		if err := write.Exec("INSERT INTO trial (id, name, columns) VALUES (?, ?, ?)", i+1, row.name, row.columns).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// disagree compares what the engine finds with what Match says, and returns the
// first row that they disagree about.
func disagree(t *testing.T, db *database.DB, rows []sample, tree *condition.Tree) string {
	t.Helper()
	clause := tree.SQL(condition.Source{Engine: condition.Engine(db.Engine()), Columns: "trial.columns", Own: map[string]string{"query_name": "trial.name"}})
	var found []int
	if err := db.Read(context.Background()).Raw("SELECT id FROM trial WHERE "+clause.Where, clause.Args...).Scan(&found).Error; err != nil {
		return fmt.Sprintf("the statement fails: %v\n%s\n%.2000q", err, clause.Where, clause.Args)
	}
	var object condition.Object
	for i, row := range rows {
		if err := object.Load(row.columns); err != nil {
			t.Fatal(err)
		}
		object.Own = map[string]string{"query_name": row.name}
		inSQL, want := slices.Contains(found, i+1), tree.Match(&object)
		if inSQL != want && (clause.Exact || want) {
			return fmt.Sprintf("row %.200q (%.50q): SQL says %v, Match says %v\n%s\n%.200q", row.columns, row.name, inSQL, want, clause.Where, clause.Args)
		}
	}
	return ""
}

var (
	textOperators    = []string{"equal", "contains", "begins_with", "ends_with", "matches_wildcard"}
	numberOperators  = []string{"less", "less_or_equal", "greater", "greater_or_equal"}
	casedOperators   = []string{"equal_cased", "contains_cased", "begins_with_cased", "ends_with_cased", "matches_wildcard_cased"}
	fieldOperators   = []string{"equal_field", "contains_field", "begins_with_field", "ends_with_field", "equal_field_cased", "contains_field_cased", "begins_with_field_cased", "ends_with_field_cased"}
	valueless        = []string{"is_empty", "is_not_empty", "is_null", "is_not_null", "is_ascii"}
	expressions      = []string{"", "abc", "(?i)abc", "^a.c$", "^abc|x", "b(c|d)", "[0-9]+", "\\.exe$", "^$", "(?s)line.", "\\pL", "C:\\\\W", "\x7f", "\\x00a", "(?i)ABK", "(x|[ac]b).*c", "a(b|é)?c", "(?i:É)"}
	wildcards        = []string{"*", "?", "??", "a*", "*c", "*b*", "a*c", "*", "***", "a?c", "[a-c]*", "[!a]*", "*[0-9]", "A*B*C", "*.EXE", "c:\\*\\*32\\*", "[", "[]", "[]]", "[*]", "a[*]c", "a[?]c", "*日*", "?é", "İ*", "abc*abc", "%", "*%*", "a_c", "[z-a]", "[a-]*", "*[", "", "*a?c*", "x*a?c"}
	comparableValues = []string{"0", "-0", "7", "007", "-7", "42", "42.0", "0.5", "-0.5", "1000", "9007199254740992", "9223372036854775807", "18446744073709551615", "0.1", strings.Repeat("9", 64)}
)

// everyLeaf calls each with every operator, its odd values and the negation.
func everyLeaf(each func(leaf map[string]any)) {
	leaf := func(operator string, value any) {
		each(map[string]any{"field": "v", "operator": operator, "value": value})
	}
	for _, operator := range slices.Concat(textOperators, casedOperators) {
		values := oddTexts[:len(oddTexts)-1]
		if strings.HasPrefix(operator, "matches_wildcard") {
			values = append(slices.Clone(wildcards), values...)
		}
		for _, value := range values {
			leaf(operator, value)
		}
		leaf("not_"+operator, "abc")
		leaf("not_"+operator, "")
	}
	for _, operator := range numberOperators {
		for _, value := range comparableValues {
			leaf(operator, value)
		}
	}
	for _, operator := range valueless {
		leaf(operator, nil)
	}
	for _, expression := range expressions {
		leaf("matches_regex", expression)
		leaf("not_matches_regex", expression)
	}
	for _, operator := range []string{"in", "not_in"} {
		leaf(operator, []any{"ABC", "É", "", json.Number("42")})
	}
	for _, operator := range []string{"between", "not_between"} {
		leaf(operator, []any{json.Number("-7"), "9007199254740993"})
		leaf(operator, []any{"-0.5", "-0"})
	}
	for _, operator := range []string{"in_cased", "contains", "begins_with_cased", "ends_with", "matches_wildcard", "matches_regex", "contains_cased"} {
		for _, not := range []string{"", "not_"} {
			leaf(not+operator, []any{"ABC", "É", "42", "s*f", "/usr"})
			leaf(not+operator, slices.Repeat([]any{"cmd.exe", "x"}, 101))
		}
	}
	for _, operator := range fieldOperators {
		for _, other := range []any{"w", "v", "none", "query_name", map[string]any{"field": "v", "template": "{w}"}} {
			leaf(operator, other)
			leaf("not_"+operator, other)
		}
	}
	for _, network := range []any{"0.0.0.0/0", []any{"::/0", "10.0.0.0/8"}} {
		leaf("in_network", network)
		leaf("not_in_network", network)
	}
	for _, operator := range []string{"contains", "not_contains", "equal", "not_equal_cased", "is_empty", "matches_regex"} {
		each(map[string]any{"field": "*", "operator": operator, "value": "abcd"})
		each(map[string]any{"field": "v", "path": "k", "operator": operator, "value": "abcd"})
		each(map[string]any{"field": "v", "template": "ab{w}{v}", "operator": operator, "value": "abcd"})
	}
	for _, name := range oddNames {
		each(map[string]any{"field": "column", "operator": "column_equal", "value": []any{name, "abc"}})
	}
	each(map[string]any{"field": "query_name", "operator": "equal", "value": "Q"})
	each(map[string]any{"field": "query_name", "operator": "not_contains", "value": "/MAIN/"})
}

func TestEveryOperatorMeansTheSameToBothEnginesAndInMemory(t *testing.T) {
	rows := samples()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		store(t, db, rows)
		everyLeaf(func(leaf map[string]any) {
			for _, not := range []bool{false, true} {
				conditions := map[string]any{"condition": "AND", "not": not, "rules": []any{leaf}}
				tree, err := condition.Parse(conditions, condition.Options{Own: []string{"query_name"}})
				if err != nil {
					t.Fatalf("%v: %v", leaf, err)
				}
				if problem := disagree(t, db, rows, tree); problem != "" {
					t.Errorf("%.200v not=%v: %s", leaf, not, problem)
				}
			}
		})
	})
}

func TestTheLargestTreesRunOnBothEngines(t *testing.T) {
	rows := samples()[:20]
	leaves := func(n int, operator string, value any) []any {
		list := make([]any, n)
		for i := range list {
			list[i] = map[string]any{"field": "v", "operator": operator, "value": value}
		}
		return list
	}
	deep := map[string]any{"condition": "or", "rules": leaves(10, "equal", "abc")}
	for i := range 31 {
		word := []string{"and", "or"}[i%2]
		deep = map[string]any{"condition": word, "not": true, "rules": append(leaves(30, "less", 7), deep)}
	}
	list := make([]any, 10_000)
	for i := range list {
		list[i] = fmt.Sprint("value ", i)
	}
	long := strings.Repeat("x*", 500) + "*"
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		store(t, db, rows)
		for name, conditions := range map[string]map[string]any{
			"deep":     deep,
			"wide":     {"condition": "or", "rules": leaves(1000, "between", []any{"1", "2"})},
			"texts":    {"condition": "and", "rules": leaves(1000, "not_contains", "abcde")},
			"wildcard": {"condition": "and", "rules": leaves(1000, "matches_wildcard", long)},
			"list":     {"condition": "or", "rules": leaves(1, "in", list)},
		} {
			tree, err := condition.Parse(conditions, condition.Options{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if problem := disagree(t, db, rows, tree); problem != "" {
				t.Errorf("%s: %.1000s", name, problem)
			}
		}
	})
}

func TestRandomTreesMeanTheSameToBothEnginesAndInMemory(t *testing.T) {
	rows := samples()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		store(t, db, rows)
		random := rand.New(rand.NewPCG(1, 2))
		for range 400 {
			conditions := randomGroup(random, 3)
			tree, err := condition.Parse(conditions, condition.Options{Own: []string{"query_name"}})
			if err != nil {
				t.Fatalf("%v: %v", conditions, err)
			}
			if problem := disagree(t, db, rows, tree); problem != "" {
				text, _ := json.Marshal(conditions)
				t.Fatalf("%s: %s", text, problem)
			}
		}
	})
}

func pick(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }

func randomGroup(random *rand.Rand, depth int) map[string]any {
	group := map[string]any{"condition": pick(random, []string{"AND", "or"})}
	if random.IntN(4) == 0 {
		group["not"] = true
	}
	var rules []any
	for range 1 + random.IntN(4) {
		if depth > 0 && random.IntN(3) == 0 {
			rules = append(rules, randomGroup(random, depth-1))
		} else {
			rules = append(rules, randomLeaf(random))
		}
	}
	group["rules"] = rules
	return group
}

func randomLeaf(random *rand.Rand) map[string]any {
	leaf := map[string]any{"field": pick(random, []string{"v", "v", "w", "z", "query_name", "none"})}
	switch random.IntN(9) {
	case 6:
		leaf["operator"], leaf["value"] = pick(random, []string{"", "not_"})+pick(random, fieldOperators), pick(random, []string{"v", "w", "none", "query_name"})
	case 7:
		leaf["operator"], leaf["value"] = pick(random, []string{"", "not_"})+pick(random, casedOperators), []any{piece(random), piece(random)}
	case 8:
		leaf["field"], leaf["operator"], leaf["value"] = "*", pick(random, []string{"", "not_"})+pick(random, textOperators), piece(random)
	case 0:
		leaf["operator"], leaf["value"] = pick(random, numberOperators), pick(random, comparableValues)
	case 1:
		leaf["operator"] = pick(random, valueless)
	case 2:
		leaf["operator"], leaf["value"] = pick(random, []string{"", "not_"})+"matches_regex", pick(random, expressions)
	case 3:
		leaf["operator"], leaf["value"] = pick(random, []string{"", "not_"})+"in", []any{pick(random, oddTexts[:50]), pick(random, oddTexts[:50])}
	default:
		leaf["operator"], leaf["value"] = pick(random, []string{"", "not_"})+pick(random, textOperators), piece(random)
	}
	return leaf
}

// piece is a part of a value, perhaps in the other case.
func piece(random *rand.Rand) string {
	runes := []rune(pick(random, oddTexts[:len(oddTexts)-1]))
	if len(runes) > 0 && random.IntN(2) == 0 {
		from := random.IntN(len(runes))
		runes = runes[from : from+random.IntN(len(runes)-from+1)]
	}
	if random.IntN(2) == 0 {
		return strings.ToUpper(string(runes))
	}
	return string(runes)
}
