package adminapi

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"muster/server/httpkit"
)

// openapi describes every route of this door as OpenAPI 3.1: arguments come from
// the requests' tags, answers from the types that handlers return.
func (a *api) openapi() map[string]any {
	s := newSchemas()
	paths, tags := map[string]any{}, []any{}
	for _, section := range a.sections() {
		if len(section.routes) > 0 {
			tags = append(tags, map[string]any{"name": section.title})
		}
		for _, r := range section.routes {
			path, local := strings.CutPrefix(r.path, "//")
			if local {
				path = "/" + path
			} else {
				path = base + path
			}
			operations, _ := paths[r.documented(path)].(map[string]any)
			if operations == nil {
				operations = map[string]any{}
				paths[r.documented(path)] = operations
			}
			operations[strings.ToLower(r.method)] = a.operation(r, section.title, s)
		}
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Muster", "version": a.Version,
			"description": "The ESP v1 REST API. Arguments of every operation are taken from a JSON body, a form or the query string alike, numbers " +
				"may be written as strings, and arguments that are not known are ignored; but dry_run is refused by what changes something without one. Every answer that is JSON has status and message; " +
				"a failure names what is wrong with each argument in errors.",
			"license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{map[string]any{"url": "/"}},
		"security": []any{map[string]any{"token": []any{}}, map[string]any{"bearer": []any{}}},
		"tags":     tags,
		"paths":    paths,
		"components": map[string]any{
			"schemas": s.named,
			"securitySchemes": map[string]any{
				"token":  map[string]any{"type": "apiKey", "in": "header", "name": "x-access-token"},
				"bearer": map[string]any{"type": "http", "scheme": "bearer"},
			},
		},
	}
}

// documented is a path without what only the router understands.
func (r route) documented(path string) string { return strings.ReplaceAll(path, "...}", "}") }

var notWord = regexp.MustCompile(`[^A-Za-z0-9]+`)

func (a *api) operation(r route, section string, s *schemas) map[string]any {
	operation := map[string]any{
		"tags": []any{section}, "summary": r.summary,
		"operationId": strings.Trim(notWord.ReplaceAllString(strings.ToLower(r.method)+"_"+strings.TrimPrefix(r.path, "//"), "_"), "_") + rootMark(r),
		"responses":   responses(r.endpoint, s),
	}
	if samePlace(r.guard, a.anybody) {
		operation["security"] = []any{}
	}
	if r.endpoint.takes == nil {
		if parameters := wildcards(r.path); len(parameters) > 0 {
			operation["parameters"] = parameters
		}
		return operation
	}
	parameters, body := arguments(r.method, httpkit.Arguments(r.endpoint.takes), s)
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	if body != nil {
		operation["requestBody"] = body
	}
	return operation
}

var wildcard = regexp.MustCompile(`\{(\w+)`)

// wildcards are the parameters in the path of an endpoint that tells no more.
func wildcards(path string) (parameters []any) {
	for _, match := range wildcard.FindAllStringSubmatch(path, -1) {
		parameters = append(parameters, map[string]any{"name": match[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	return parameters
}

// rootMark tells the two addresses of one endpoint apart.
func rootMark(r route) string {
	if strings.HasPrefix(r.path, "//") {
		return "_root"
	}
	return ""
}

// samePlace reports whether both are the same method of the same value.
func samePlace(f, g func(http.Handler) http.Handler) bool {
	return reflect.ValueOf(f).Pointer() == reflect.ValueOf(g).Pointer()
}

// arguments divides what an operation takes: the path's and, with GET, all others
// are parameters; otherwise they make a body.
func arguments(method string, args []httpkit.Argument, s *schemas) (parameters []any, body map[string]any) {
	properties, required := map[string]any{}, []any{}
	upload := false
	for _, arg := range args {
		schema := argumentSchema(arg, s)
		switch {
		case arg.InPath:
			parameters = append(parameters, map[string]any{"name": arg.Name, "in": "path", "required": true, "schema": schema})
		case method == http.MethodGet && arg.Type.Kind() != reflect.Map:
			parameters = append(parameters, map[string]any{"name": arg.Name, "in": "query", "required": arg.Required, "schema": schema})
		default:
			properties[arg.Name] = schema
			if arg.Required {
				required = append(required, arg.Name)
			}
			upload = upload || arg.Type == reflect.TypeFor[httpkit.File]()
		}
	}
	if len(properties) == 0 {
		return parameters, nil
	}
	object := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	media := "application/json"
	if upload {
		media = "multipart/form-data"
	}
	return parameters, map[string]any{"required": len(required) > 0, "content": map[string]any{media: map[string]any{"schema": object}}}
}

func argumentSchema(arg httpkit.Argument, s *schemas) map[string]any {
	if arg.Type == reflect.TypeFor[httpkit.File]() {
		return map[string]any{"type": "string", "format": "binary"}
	}
	schema := s.of(arg.Type)
	if len(arg.Choices) > 0 {
		schema["enum"] = anys(arg.Choices)
	}
	if arg.Min != nil {
		schema["minimum"] = *arg.Min
	}
	switch {
	case arg.Max != nil && arg.Page:
		schema["description"] = fmt.Sprintf("at most %d are given at a time", *arg.Max)
	case arg.Max != nil:
		schema["maximum"] = *arg.Max
	}
	if arg.Default != nil {
		schema["default"] = literal(*arg.Default, arg.Type)
	}
	return schema
}

func anys(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

// statuses are the failures that any endpoint may answer with.
var statuses = map[string]string{
	"400": "An argument is missing or wrong", "401": "No valid token", "404": "There is no such thing", "413": "The request is too large",
	"422": "The content is wrong, or in the way of what exists", "429": "Too many requests", "500": "An internal failure", "503": "Busy: try again",
}

func responses(e endpoint, s *schemas) map[string]any {
	failure := map[string]any{"application/json": map[string]any{"schema": s.failure()}}
	all := map[string]any{}
	for status, words := range statuses {
		all[status] = map[string]any{"description": words, "content": failure}
	}
	switch {
	case e.planned:
		return map[string]any{"501": map[string]any{"description": "Not served yet", "content": failure}}
	case e.gives == nil:
		all["200"] = map[string]any{"description": "A file"}
		all["101"] = map[string]any{"description": "A WebSocket, where the request asks for one"}
	case e.gives == reflect.TypeFor[httpkit.CSV]():
		all["200"] = map[string]any{"description": "A CSV file", "content": map[string]any{"text/csv": map[string]any{"schema": map[string]any{"type": "string"}}}}
	case e.gives == reflect.TypeFor[http.Handler]():
		all["200"] = map[string]any{"description": "A file", "content": map[string]any{"application/octet-stream": map[string]any{}}}
	default:
		all["200"] = map[string]any{"description": "Success", "content": map[string]any{"application/json": map[string]any{"schema": s.answers(e)}}}
	}
	return all
}
