package intel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/fault"
)

var importDefaults = Defaults{ThreatName: "feed", Severity: "WARNING", Confidence: 50}

// told is what a file holds in short: the indicators, and what is wrong.
func told(p Parsed) []string {
	var all []string
	for _, i := range p.Indicators {
		text := fmt.Sprintf("%s %s (%s) %s %d", i.Type, i.Value, i.ThreatName, i.Severity, i.Confidence)
		if !i.Expires.IsZero() {
			text += " until " + i.Expires.Format(time.DateOnly)
		}
		all = append(all, text)
	}
	for _, problem := range p.Problems {
		all = append(all, fmt.Sprintf("%d: %s", problem.Number, problem.Reason))
	}
	if p.Skipped > 0 {
		all = append(all, fmt.Sprintf("%d skipped", p.Skipped))
	}
	return all
}

func TestParse(t *testing.T) {
	const w = " (feed) WARNING 50"
	tests := []struct {
		sentence, content string
		format            Format // found out
		want              []string
	}{
		{"a list by the form of its values", "\uFEFF# comment\r\n" + strings.ToUpper(someMD5) + "\n" + someSHA1 + "\n\n" + someSHA256 + "\n192.0.2.1\n192.0.2.7/24\n2001:db8::1\n198.51.100.1:443\nhxxp://evil[.]example/a\nevil[.]example\nC:\\x.exe\n/tmp/x\nnonsense\ncom\n0.0.0.0/0\n",
			List, []string{"md5 " + someMD5 + w, "sha1 " + someSHA1 + w, "sha256 " + someSHA256 + w, "remote_address 192.0.2.1" + w, "remote_address 192.0.2.0/24" + w,
				"remote_address 2001:db8::1" + w, "remote_address 198.51.100.1" + w, "url http://evil.example/a" + w, "domain_name evil.example" + w, `path c:\x.exe` + w, "path /tmp/x" + w,
				"14: 'nonsense' is nothing that can be looked for", "15: 'com' is nothing that can be looked for", "16: '0.0.0.0/0' is nothing that can be looked for"}},
		{"CSV with all columns", "# of today\n\"Value\",type,threat_name,severity,confidence,expires,comment\n" + someMD5 + ",md5,Emotet,critical,90,2027-01-02,seen\n" +
			"evil.example,domain,,,,\n\"a\"\"b\",md5\n1.2.3.4,ip,x,x\n1.2.3.4,colour\n1.2.3.4,ip,x,,much\n1.2.3.4,ip,x,,,never\n,ip\n\"/a,b\",,x\n",
			CSV, []string{"md5 " + someMD5 + " (Emotet) CRITICAL 90 until 2027-01-02", "domain_name evil.example" + w, "path /a,b (x) WARNING 50",
				`5: 'a"b' is no md5`, "6: 'X' is no severity; there are INFO, LOW, WARNING, CRITICAL", "7: 'colour' is no type of indicator", "8: 'much' is no confidence", "9: 'never' is no time", "10: it has no value"}},
		{"CSV with quotes that nobody closes", "value,description\n192.0.2.1,\"it goes\non\"\n\"192.0.2.2,x\n192.0.2.3,5\" disk\n" + strings.Repeat("#\n", maxCSVLines) +
			"\"192.0.2.4\", \"a \"\"b\"\" c\"\n192.0.2.5,\"open\n192.0.2.6,x\n",
			CSV, []string{"remote_address 192.0.2.1" + w, "remote_address 192.0.2.3" + w, "remote_address 192.0.2.4" + w, "remote_address 192.0.2.5" + w, "remote_address 192.0.2.6" + w,
				"4: '192.0.2.2,x' is nothing that can be looked for"}},
		{"a bundle of STIX", `{"type":"bundle","id":"bundle--1","objects":[
			{"type":"malware","name":"x"},
			{"type":"indicator","name":"Bad  file","pattern_type":"stix","confidence":75,"valid_until":"2027-05-01T00:00:00.000Z","pattern":"[file:hashes.'SHA-256' = '` + someSHA256 + `' OR file:hashes.MD5 = '` + someMD5 + `']"},
			{"type":"indicator","pattern":"[ipv4-addr:value = '192.0.2.0/24'] OR ([domain-name:value IN ('evil.example', 'other.example')] AND [url:value='http://evil.example/it\\'s'])"},
			{"type":"indicator","pattern":"[file:name = 'x.exe' AND (file:hashes.\"MD5\" = '1' OR file:hashes.'MD5' = '` + someMD5 + `') AND file:size > 12]"},
			{"type":"indicator","pattern":"[domain-name:value = 'evil.example' AND ipv4-addr:value = '192.0.2.1']"},
			{"type":"indicator","pattern":"[process:name = 'x' OR ipv4-addr:value ISSUBSET '198.51.100.0/24' OR domain-name:value LIKE '%.example']"},
			{"type":"indicator","pattern":"[file:name = '/tmp/x' OR file:name = 'x']"},
			{"type":"indicator","pattern":"[url:value = 'http://a/'] FOLLOWEDBY [url:value = 'http://b/']"},
			{"type":"indicator","pattern":"[url:value = 'http://a/"},
			{"type":"indicator","pattern":""},
			{"type":"indicator","pattern_type":"yara","pattern":"rule x {}"},
			{"type":"indicator","revoked":true,"pattern":"[url:value = 'http://a/']"},
			{"type":"indicator","pattern":12}]}`,
			STIX, []string{"sha256 " + someSHA256 + " (Bad file) WARNING 75 until 2027-05-01", "md5 " + someMD5 + " (Bad file) WARNING 75 until 2027-05-01",
				"remote_address 192.0.2.0/24" + w, "domain_name evil.example" + w, "domain_name other.example" + w, "url http://evil.example/it's" + w, "md5 " + someMD5 + w,
				"remote_address 198.51.100.0/24" + w, "path /tmp/x" + w,
				"5: its pattern joins by AND what cannot be looked for one by one", "6: 'process:name' is nothing that is looked for", "6: 'LIKE' is no comparison that can be looked for",
				"7: 'x' is a name, not the path of a file", "8: its pattern has 'FOLLOWEDBY' where it should end", "9: its pattern has a text without an end",
				"10: its pattern has '' where an observation should begin", "11: its pattern is of the type 'yara'", "13: it is no object of STIX", "1 skipped"}},
		{"an event of MISP", `{"Event":{"info":"OSINT: Emotet","threat_level_id":"1","Attribute":[
			{"type":"md5","value":"` + someMD5 + `","to_ids":true},{"type":"ip-dst|port","value":"192.0.2.1|443","to_ids":true},
			{"type":"domain|ip","value":"evil.example|192.0.2.2","to_ids":true},{"type":"filename|sha1","value":"a.exe|` + someSHA1 + `","to_ids":true},
			{"type":"md5","value":"` + someMD5 + `","to_ids":false},{"type":"mutex","value":"x","to_ids":true},{"type":"url","value":"no","to_ids":true}],
			"Object":[{"name":"file","Attribute":[{"type":"sha256","value":"` + someSHA256 + `","to_ids":true},{"type":"filename","value":"a.exe","to_ids":true}]},
			{"deleted":true,"Attribute":[{"type":"sha256","value":"` + someSHA256 + `","to_ids":true}]}]}}`,
			MISP, []string{"md5 " + someMD5 + " (OSINT: Emotet) CRITICAL 50", "remote_address 192.0.2.1 (OSINT: Emotet) CRITICAL 50", "domain_name evil.example (OSINT: Emotet) CRITICAL 50",
				"remote_address 192.0.2.2 (OSINT: Emotet) CRITICAL 50", "sha1 " + someSHA1 + " (OSINT: Emotet) CRITICAL 50", "sha256 " + someSHA256 + " (OSINT: Emotet) CRITICAL 50",
				"6: 'mutex' is no type that is looked for", "7: 'no' is no URL", "9: 'a.exe' is a name, not the path of a file", "2 skipped"}},
		{"several events of MISP", `[{"Event":{"info":"one","threat_level_id":3,"Attribute":[{"type":"domain","value":"evil.example","to_ids":true}]}},{"Event":{"info":"two","Attribute":[{"type":"domain","value":"x.example","to_ids":true}]}}]`,
			MISP, []string{"domain_name evil.example (one) LOW 50", "domain_name x.example (two) WARNING 50"}},
		{"an answer of MISP", `{"response":[{"Event":{"Attribute":[{"type":"domain","value":"evil.example","to_ids":true}]}}]}`, MISP, []string{"domain_name evil.example" + w}},
		{"a pulse of OTX", `{"name":"Pulse","indicators":[{"indicator":"` + someSHA256 + `","type":"FileHash-SHA256","is_active":1,"expiration":"2027-01-01T00:00:00"},
			{"indicator":"192.0.2.0/24","type":"CIDR"},{"indicator":"evil.example","type":"hostname","title":"x"},{"indicator":"CVE-2026-1","type":"CVE"},{"indicator":"a.example","type":"domain","is_active":0}]}`,
			OTX, []string{"sha256 " + someSHA256 + " (Pulse) WARNING 50 until 2027-01-01", "remote_address 192.0.2.0/24 (Pulse) WARNING 50", "domain_name evil.example (Pulse) WARNING 50", "4: 'CVE' is no type that is looked for", "1 skipped"}},
		{"a page of pulses", `{"results":[{"name":"A","indicators":[{"indicator":"a.example","type":"domain"}]}]}`, OTX, []string{"domain_name a.example (A) WARNING 50"}},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got, err := Parse([]byte(test.content), "", importDefaults)
			if err != nil || got.Format != test.format {
				t.Fatalf("%s, %v", got.Format, err)
			}
			if diff := cmp.Diff(test.want, told(got)); diff != "" {
				t.Error(diff)
			}
			if got.Bad != len(got.Problems) {
				t.Errorf("%d are bad, %d reported", got.Bad, len(got.Problems))
			}
		})
	}
}

func TestAListOfAType(t *testing.T) {
	d := importDefaults
	d.Type = MD5
	got, err := Parse([]byte(someMD5+"\nevil.example\n"), List, d)
	if diff := cmp.Diff([]string{"md5 " + someMD5 + " (feed) WARNING 50", "2: 'evil.example' is no md5"}, told(got)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestWhatIsNoFileOfTheFormat(t *testing.T) {
	for sentence, c := range map[string]struct {
		format  Format
		content string
	}{
		"no text":                    {"", "\xff\xfe"},
		"no such format":             {"xml", "<a/>"},
		"broken JSON":                {"", `{"type":"bundle",`},
		"JSON of something else":     {"", `{"a":1}`},
		"a bundle of the wrong type": {STIX, `{"type":"report"}`},
		"an event without an event":  {MISP, `{"response":[]}`},
		"a pulse without indicators": {OTX, `{"indicators":[]}`},
		"CSV without a header":       {CSV, "a,b\n"},
		"an empty CSV":               {CSV, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got, err := Parse([]byte(c.content), c.format, importDefaults); !fault.Is(err, fault.Unprocessable) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestProblemsAreCountedBeyondWhatIsReported(t *testing.T) {
	got, err := Parse([]byte(strings.Repeat("nonsense\n", maxProblems+5)), List, importDefaults)
	if err != nil || got.Bad != maxProblems+5 || len(got.Problems) != maxProblems {
		t.Errorf("%d bad, %d reported, %v", got.Bad, len(got.Problems), err)
	}
}

func fuzzFormat(f *testing.F, format Format, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := Parse(content, format, importDefaults)
		if err != nil {
			if !fault.Is(err, fault.Unprocessable) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, i := range got.Indicators {
			again := i
			if err := CheckFeed(again); err != nil {
				t.Errorf("%+v was taken: %v", i, err)
			}
			if value, problem := normal(i.Type, i.Value, true); problem != "" || value != i.Value {
				t.Errorf("%+v is not in normal form: %q %s", i, value, problem)
			}
		}
	})
}

func FuzzParseList(f *testing.F) { fuzzFormat(f, List, "1.2.3.4\nevil[.]example", "hxxp://a/b") }
func FuzzParseCSV(f *testing.F) {
	fuzzFormat(f, CSV, "value,type,expires\n1.2.3.4,ip,2027-01-01\n\"a\"b\",\"", "#value\nvalue\n\"\n")
}
func FuzzParseSTIX(f *testing.F) {
	fuzzFormat(f, STIX, `{"type":"bundle","objects":[{"type":"indicator","pattern":"[file:hashes.'SHA-256' = 'x' AND (url:value IN ('a://','b'))] OR ([domain-name:value='a.b'])"}]}`)
}
func FuzzParseMISP(f *testing.F) {
	fuzzFormat(f, MISP, `{"Event":{"info":"x","threat_level_id":1,"Attribute":[{"type":"domain|ip","value":"a.b|1.2.3.4","to_ids":true}]}}`, `[{"Event":{}}]`)
}
func FuzzParseOTX(f *testing.F) {
	fuzzFormat(f, OTX, `{"name":"x","indicators":[{"indicator":"a.b","type":"domain","is_active":1,"expiration":"2027-01-01"}]}`)
}

func FuzzPattern(f *testing.F) {
	f.Add("[file:hashes.'SHA-256' = 'x' AND (url:value IN ('a','b'))] OR ([domain-name:value='a.b'])")
	f.Add(strings.Repeat("([", 40))
	f.Fuzz(func(_ *testing.T, pattern string) { readPattern(pattern) })
}
