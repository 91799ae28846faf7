package httpkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"muster/server/fault"
)

type page struct {
	Start int  `arg:"start,default=0,min=0"`
	Limit *int `arg:"limit,min=0,max=1000"`
}

type sample struct {
	page
	Name     string         `arg:"name"`
	Count    int64          `arg:"count"`
	Status   *bool          `arg:"status"`
	Enabled  bool           `arg:"enabled,default=true"`
	Platform string         `arg:"platform,choices=windows|linux"`
	Nodes    []string       `arg:"nodes"`
	IDs      []int64        `arg:"ids"`
	Option   map[string]any `arg:"option"`
	Note     *string        `arg:"note"`
	Secret   string
}

func request(method, target, contentType, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func ref[T any](v T) *T { return &v }

func TestDecode(t *testing.T) {
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	tests := []struct {
		name    string
		request *http.Request
		want    sample
	}{
		{"an absent body leaves the defaults", request("POST", "/", "", ""), sample{Enabled: true}},
		{"an empty body called JSON is an absent one", request("POST", "/", asJSON, " \n"), sample{Enabled: true}},
		{"null is an empty object", request("POST", "/", asJSON, "null"), sample{Enabled: true}},
		{"arguments come from the query string of a POST", request("POST", "/?name=a&count=5", "", ""), sample{Enabled: true, Name: "a", Count: 5}},
		{"arguments come from the JSON body of a GET", request("GET", "/", asJSON, `{"name":"a"}`), sample{Enabled: true, Name: "a"}},
		{"arguments come from the form of a DELETE", request("DELETE", "/", asForm, "name=a+b&count=7"), sample{Enabled: true, Name: "a b", Count: 7}},
		{"the body wins over the query string", request("POST", "/?name=query&count=1", asJSON, `{"name":"body"}`), sample{Enabled: true, Name: "body", Count: 1}},
		{"a null in the body wins over the query string", request("POST", "/?name=query", asJSON, `{"name":null}`), sample{Enabled: true}},
		{"an object is JSON whatever it is called", request("POST", "/", asForm, `{"name":"a"}`), sample{Enabled: true, Name: "a"}},
		{"JSON has a charset and a family", request("POST", "/", "application/vnd.x+json; charset=utf-8", `{"name":"a"}`), sample{Enabled: true, Name: "a"}},
		{"a byte order mark is skipped", request("POST", "/", asJSON, "\xef\xbb\xbf{\"name\":\"a\"}"), sample{Enabled: true, Name: "a"}},
		{"numbers come as strings", request("POST", "/", asJSON, `{"count":"5","start":" 3 ","limit":"10"}`), sample{Enabled: true, Count: 5, page: page{Start: 3, Limit: ref(10)}}},
		{"strings come as numbers and booleans", request("POST", "/", asJSON, `{"name":12.50,"note":true}`), sample{Enabled: true, Name: "12.50", Note: ref("true")}},
		{"a large number keeps its digits", request("POST", "/", asJSON, `{"count":9007199254740993,"name":9007199254740993}`), sample{Enabled: true, Count: 9007199254740993, Name: "9007199254740993"}},
		{"an integer may be written as a float", request("POST", "/", asJSON, `{"count":5.0}`), sample{Enabled: true, Count: 5}},
		{"the word false is false", request("POST", "/", asJSON, `{"status":"false","enabled":"False"}`), sample{Status: ref(false)}},
		{"one and zero are booleans", request("POST", "/", asJSON, `{"status":1,"enabled":0}`), sample{Status: ref(true)}},
		{"an empty value of a number or boolean is absent", request("POST", "/?count=&status=&limit=", "", ""), sample{Enabled: true}},
		{"an empty choice is absent", request("POST", "/", asJSON, `{"platform":""}`), sample{Enabled: true}},
		{"a list to a single value gives its first", request("POST", "/", asJSON, `{"name":["a","b"],"count":[]}`), sample{Enabled: true, Name: "a"}},
		{"a list is an array", request("POST", "/", asJSON, `{"nodes":["a", " b ", "", 3, "c,d"],"ids":[1,"2"]}`), sample{Enabled: true, Nodes: []string{"a", "b", "3", "c,d"}, IDs: []int64{1, 2}}},
		{"a list is a comma value", request("POST", "/", asJSON, `{"nodes":" a, b ,,c","ids":"1, 2"}`), sample{Enabled: true, Nodes: []string{"a", "b", "c"}, IDs: []int64{1, 2}}},
		{"a list is a repeated value", request("POST", "/?ids=1&ids=2,3", asForm, "nodes=a&nodes=b"), sample{Enabled: true, Nodes: []string{"a", "b"}, IDs: []int64{1, 2, 3}}},
		{"an empty string is an empty list", request("POST", "/", asJSON, `{"nodes":""}`), sample{Enabled: true, Nodes: []string{}}},
		{"an object may be the text of one", request("POST", "/", asForm, "option=%7B%22a%22%3A1%7D"), sample{Enabled: true, Option: map[string]any{"a": json.Number("1")}}},
		{"unknown arguments and fields without a tag are ignored", request("POST", "/?Secret=x", asJSON, `{"secret":"x","Secret":"y","zzz":{}}`), sample{Enabled: true}},
		{"names are exact", request("POST", "/", asJSON, `{"NAME":"x"}`), sample{Enabled: true}},
		{"an unknown kind of body is ignored", request("POST", "/?name=a", "text/plain", "hello"), sample{Enabled: true, Name: "a"}},
		{"text is made valid UTF-8", request("POST", "/?name=%ff", "", ""), sample{Enabled: true, Name: "\uFFFD"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Decode[sample](test.request)
			if err != nil {
				t.Fatalf("%v", err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(sample{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeMultipart(t *testing.T) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("name", "a")
	_ = form.WriteField("nodes", "b")
	_ = form.WriteField("nodes", "c")
	_ = form.Close()
	r := httptest.NewRequest("POST", "/", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	got, err := Decode[sample](r)
	if err != nil || got.Name != "a" || !cmp.Equal(got.Nodes, []string{"b", "c"}) {
		t.Errorf("%+v %v", got, err)
	}
}

type strict struct {
	Query string         `arg:"query,required"`
	Limit int            `arg:"limit,min=0,max=10"`
	Kind  string         `arg:"kind,choices=a|b"`
	On    bool           `arg:"on"`
	IDs   []int64        `arg:"ids"`
	Obj   map[string]any `arg:"obj"`
}

func (s *strict) Check() error {
	if s.Query == "bad" {
		return fault.New(fault.Unprocessable, "checked")
	}
	return nil
}

func TestDecodeRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65)
	tests := []struct {
		name, body string
		fields     map[string]string // nil: not by field
	}{
		{"invalid JSON", `{"query":`, nil},
		{"something after the object", `{"query":"a"} x`, nil},
		{"an array", `[1]`, nil},
		{"a text", `"query"`, nil},
		{"too deep nesting", deep, nil},
		{"too many values", `{"query":"a","ids":[` + strings.Repeat("1,", maxValues) + `1]}`, nil},
		{"a missing argument", `{}`, map[string]string{"query": missing}},
		{"a null for a required argument", `{"query":null}`, map[string]string{"query": "Must not be null!"}},
		{"every wrong argument at once", `{"limit":"x","kind":"c","on":"maybe","ids":"1,x","obj":[1]}`, map[string]string{
			"query": missing, "limit": "'x' is not a whole number", "kind": "The value 'c' is not a valid choice for 'kind'. Valid are: a, b",
			"on": "'maybe' is neither true nor false", "ids": "'x' is not a whole number", "obj": "a JSON object is expected here",
		}},
		{"a number out of bounds", `{"query":"a","limit":-1}`, map[string]string{"limit": "-1 is less than 0"}},
		{"a number over its bound", `{"query":"a","limit":11}`, map[string]string{"limit": "11 is more than 10"}},
		{"a fraction for a whole number", `{"query":"a","limit":1.5}`, map[string]string{"limit": "'1.5' is not a whole number"}},
		{"an object for a text", `{"query":{"a":1}}`, map[string]string{"query": "a single value is expected here"}},
		{"an object in a list", `{"query":"a","ids":[{}]}`, map[string]string{"ids": "a list of single values is expected here"}},
		{"a NUL in a text", `{"query":"a\u0000b"}`, map[string]string{"query": "a NUL character is not allowed"}},
		{"a NUL inside an object", `{"query":"a","obj":{"x":["\u0000"]}}`, map[string]string{"obj": "a NUL character is not allowed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Decode[strict](request("POST", "/", "application/json", test.body))
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(test.fields, fault.FieldsOf(err)); diff != "" {
				t.Error(diff)
			}
			if isJSON := test.fields != nil; errors.Is(err, ErrJSON) == isJSON {
				t.Errorf("its cause is %v", errors.Unwrap(err))
			}
		})
	}
	_, err := Decode[strict](request("POST", "/", "application/json", "{“query”:1}"))
	if want := "Failed to decode JSON object: it has quotation marks such as “ or ”, where JSON has \""; !errors.Is(err, ErrJSON) || fault.Public(err) != want {
		t.Errorf("quotation marks of a document: %v", err)
	}
	if _, err := Decode[strict](request("POST", "/?query=bad", "", "")); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("Check is not asked: %v", err)
	}
}

func TestBodyOnlyArguments(t *testing.T) {
	type secret struct {
		Password string  `arg:"password,required,body"`
		Hint     *string `arg:"hint,body"`
	}
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	for name, r := range map[string]*http.Request{
		"from the form":                       request("POST", "/", asForm, "password=body"),
		"from JSON":                           request("POST", "/", asJSON, `{"password":"body"}`),
		"from the body where the URL has one": request("POST", "/?password=url", asJSON, `{"password":"body"}`),
	} {
		if got, err := Decode[secret](r); err != nil || got != (secret{Password: "body"}) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	for name, r := range map[string]*http.Request{
		"in the URL only":           request("POST", "/?password=url", "", ""),
		"in the URL of a GET":       request("GET", "/?password=url", "", ""),
		"in the URL beside a body":  request("POST", "/?password=url", asJSON, `{"other":1}`),
		"in the URL beside a form":  request("POST", "/?password=url", asForm, "other=1"),
		"in the URL of an odd body": request("POST", "/?password=url", "text/plain", "password=x"),
	} {
		_, err := Decode[secret](r)
		if diff := cmp.Diff(map[string]string{"password": missingInBody}, fault.FieldsOf(err)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestBodyOnlyArgumentsInTheURLAreRefused(t *testing.T) {
	type secret struct {
		Hint *string `arg:"hint,body"`
	}
	_, err := Decode[secret](request("POST", "/?hint=url", "application/json", `{"other":1}`))
	if diff := cmp.Diff(map[string]string{"hint": notInURL}, fault.FieldsOf(err)); diff != "" {
		t.Error(diff)
	}
}

func TestPages(t *testing.T) {
	type page struct {
		Limit int `arg:"limit,default=10,min=0,max=1000,page"`
	}
	for sent, want := range map[string]int{`{}`: 10, `{"limit":0}`: 10, `{"limit":"7"}`: 7, `{"limit":1000}`: 1000, `{"limit":1001}`: 1000} {
		if got, err := Decode[page](request("POST", "/", "application/json", sent)); err != nil || got.Limit != want {
			t.Errorf("%s: %d %v, want %d", sent, got.Limit, err, want)
		}
	}
	_, err := Decode[page](request("POST", "/", "application/json", `{"limit":-1}`))
	if diff := cmp.Diff(map[string]string{"limit": "-1 is less than 0"}, fault.FieldsOf(err)); diff != "" {
		t.Error(diff)
	}
}

func TestArgumentsThatTheDoorRefuses(t *testing.T) {
	type takes struct {
		Dry bool `arg:"dry"`
	}
	refused := map[string]string{"dry": "no"}
	for sent, want := range map[string]map[string]string{
		`{"dry":true}`: refused, `{"dry":"perhaps"}`: refused, `{"dry":false}`: nil, `{"dry":null}`: nil, `{}`: nil,
	} {
		err := planOf[struct{}]().decode(request("POST", "/", "application/json", sent), &struct{}{}, refused)
		if diff := cmp.Diff(want, fault.FieldsOf(err)); diff != "" {
			t.Errorf("%s: %s", sent, diff)
		}
	}
	got := takes{}
	if err := planOf[takes]().decode(request("POST", "/?dry=1", "", ""), &got, refused); err != nil || !got.Dry {
		t.Errorf("a request that takes the argument is refused: %+v %v", got, err)
	}
}

func TestDecodePath(t *testing.T) {
	type req struct {
		ID   int64  `path:"id"`
		Name string `path:"name"`
		Tag  string `arg:"tag"`
	}
	r := request("POST", "/?id=1", "application/json", `{"id":2,"name":"x","tag":"t"}`)
	r.SetPathValue("id", "7")
	r.SetPathValue("name", "host")
	got, err := Decode[req](r)
	if err != nil || got != (req{7, "host", "t"}) {
		t.Errorf("%+v %v", got, err)
	}
	r.SetPathValue("id", "seven")
	if _, err := Decode[req](r); !fault.Is(err, fault.NotFound) {
		t.Errorf("a word for a number: %v", err)
	}
}

func TestDecodeIntoNonsense(t *testing.T) {
	if _, err := Decode[int](request("GET", "/", "", "")); !fault.Is(err, fault.Internal) {
		t.Errorf("no struct: %v", err)
	}
	if _, err := Decode[struct {
		A chan int `arg:"a"`
	}](request("GET", "/", "", "")); !fault.Is(err, fault.Internal) {
		t.Errorf("no type to decode into: %v", err)
	}
	if _, err := Decode[struct {
		A int `arg:"a,reqired"`
	}](request("GET", "/", "", "")); !fault.Is(err, fault.Internal) {
		t.Errorf("a misspelt option: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name=a&ids=1,2", "application/json", []byte(`{"name":"a","nodes":["x"],"option":{"a":[1,null]}}`))
	f.Add("count=1e9", "application/x-www-form-urlencoded", []byte("status=on&limit=3"))
	f.Add("", "multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, query, contentType string, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", contentType)
		got, err := Decode[sample](r)
		if err != nil {
			if status := Status(err); status != http.StatusBadRequest {
				t.Fatalf("status %d: %v", status, err)
			}
			return
		}
		if got.Start < 0 || (got.Limit != nil && (*got.Limit < 0 || *got.Limit > 1000)) {
			t.Errorf("out of bounds: %+v", got)
		}
		for _, text := range append(got.Nodes, got.Name, got.Platform) {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				t.Errorf("a text that a database refuses: %q", text)
			}
		}
	})
}
