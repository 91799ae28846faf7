package adminapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// described holds the schemas of the answers in the description, closed: a key
// that the description does not name is a mistake here.
type described struct {
	mux      *http.ServeMux // finds the route of a request
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

const descriptionURL = "https://muster.test/openapi.json"

var descriptionOf = sync.OnceValue(func() *described {
	a := newAPI(Deps{Version: "test"})
	raw, err := json.Marshal(a.description())
	if err != nil {
		panic(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	closeObjects(document)
	d := &described{mux: http.NewServeMux(), compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	if err := d.compiler.AddResource(descriptionURL, document); err != nil {
		panic(err)
	}
	for _, r := range a.routes() {
		d.mux.Handle(r.method+" "+r.pattern(), http.NotFoundHandler())
	}
	return d
})

// closeObjects refuses in every object what is not described.
func closeObjects(node any) {
	switch node := node.(type) {
	case map[string]any:
		_, isObject := node["properties"].(map[string]any)
		if _, open := node["additionalProperties"]; isObject && node["type"] == "object" && !open {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			closeObjects(child)
		}
	case []any:
		for _, child := range node {
			closeObjects(child)
		}
	}
}

// schema finds what an answer must look like: nil where the answer is no JSON.
func (d *described) schema(r *http.Request, status int) (*jsonschema.Schema, string, error) {
	_, pattern := d.mux.Handler(r)
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		return nil, "", nil // an address that does not exist
	}
	path = strings.ReplaceAll(path, "...}", "}")
	at := "/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" +
		strings.ToLower(method) + "/responses/" + strconv.Itoa(status) + "/content/application~1json/schema"
	d.mu.Lock()
	defer d.mu.Unlock()
	if schema, known := d.compiled[at]; known {
		return schema, at, nil
	}
	schema, err := d.compiler.Compile(descriptionURL + "#" + at)
	d.compiled[at] = schema
	return schema, at, err
}

// described checks a real answer against the description.
func (w *world) described(response *http.Response, body []byte) {
	w.t.Helper()
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") || response.StatusCode == http.StatusMethodNotAllowed {
		return
	}
	if strings.HasSuffix(response.Request.URL.Path, "/openapi.json") {
		return
	}
	schema, at, err := descriptionOf().schema(response.Request, response.StatusCode)
	if err != nil {
		w.t.Errorf("%s %s answered %d, which is not described: %v", response.Request.Method, response.Request.URL.Path, response.StatusCode, err)
		return
	}
	if schema == nil {
		return
	}
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(answer)
	}
	if err != nil {
		w.t.Errorf("%s %s answered what is not described at %s: %v\n%s", response.Request.Method, response.Request.URL.Path, at, err, body)
	}
}

func TestTheDescriptionIsWhole(t *testing.T) {
	a := newAPI(Deps{Version: "test"})
	raw, err := json.Marshal(a.description())
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
			Responses   map[string]any
			Parameters  []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	if document.OpenAPI != "3.1.0" {
		t.Errorf("it is OpenAPI %s", document.OpenAPI)
	}
	operations, ids := 0, map[string]string{}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			operations++
			where := method + " " + path
			if other, taken := ids[operation.OperationID]; taken {
				t.Errorf("%s and %s are both called %s", where, other, operation.OperationID)
			}
			ids[operation.OperationID] = where
			if operation.Summary == "" || len(operation.Tags) != 1 || len(operation.Responses) == 0 {
				t.Errorf("%s is not described: %+v", where, operation)
			}
			for _, parameter := range operation.Parameters {
				path = strings.ReplaceAll(path, "{"+parameter.Name+"}", parameter.In)
			}
			if strings.Contains(path, "{") {
				t.Errorf("%s does not describe what stands in its path", where)
			}
		}
	}
	if operations != len(a.routes()) {
		t.Errorf("%d operations are described of %d routes", operations, len(a.routes()))
	}
}

func TestTheDescriptionSeesWhatDrifts(t *testing.T) {
	d := descriptionOf()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/hosts/count", nil)
	if err != nil {
		t.Fatal(err)
	}
	schema, at, err := d.schema(request, http.StatusOK)
	if err != nil || schema == nil {
		t.Fatalf("%s: %v", at, err)
	}
	for sentence, c := range map[string]struct {
		answer string
		right  bool
	}{
		"an answer as described":           {`{"status":"success","message":"m","data":{"linux":{"online":1,"offline":0}}}`, true},
		"a key that is missing":            {`{"status":"success","message":"m","data":{"linux":{"online":1}}}`, false},
		"a key that nobody described":      {`{"status":"success","message":"m","data":{},"more":1}`, false},
		"a key too many further down":      {`{"status":"success","message":"m","data":{"linux":{"online":1,"offline":0,"x":0}}}`, false},
		"a value of another kind":          {`{"status":"success","message":"m","data":{"linux":{"online":"1","offline":0}}}`, false},
		"a failure where success is meant": {`{"status":"failure","message":"m","data":{}}`, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			answer, err := jsonschema.UnmarshalJSON(strings.NewReader(c.answer))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(answer); (err == nil) != c.right {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestDescriptionIsServedToEverybody(t *testing.T) {
	each(t, func(w *world) {
		response := w.send("GET", "/openapi.json", nil, "")
		defer func() { _ = response.Body.Close() }()
		var document map[string]any
		if err := json.NewDecoder(response.Body).Decode(&document); err != nil || response.StatusCode != http.StatusOK || document["openapi"] != "3.1.0" {
			t.Errorf("%d %v %v", response.StatusCode, document["openapi"], err)
		}
		w.expect("planned", "POST", "/response", nil)
	})
}
