package adminapi

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// schemas makes JSON Schema of Go types as encoding/json writes them. Structs
// with a name stand once, in named.
type schemas struct{ named map[string]any }

func newSchemas() *schemas { return &schemas{named: map[string]any{}} }

// of is the schema of a value of type t: a fresh map, or a reference.
func (s *schemas) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any]():
		return map[string]any{}
	}
	if several, ok := reflect.Zero(t).Interface().(interface{ alternatives() []reflect.Type }); ok {
		return s.anyOf(several.alternatives())
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Pointer:
		return orNullSchema(s.of(t.Elem()))
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.reference(t)
	}
	return map[string]any{}
}

// anyOf is for a value that has one of several shapes.
func (s *schemas) anyOf(types []reflect.Type) map[string]any {
	var all []any
	for _, t := range types {
		all = append(all, s.of(t))
	}
	return map[string]any{"anyOf": all}
}

func orNullSchema(schema map[string]any) map[string]any {
	if kind, plain := schema["type"].(string); plain {
		schema["type"] = []any{kind, "null"}
		return schema
	}
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
}

// reference names a struct's schema, making it when it is first met.
func (s *schemas) reference(t reflect.Type) map[string]any {
	name := schemaName(t)
	if name == "" {
		return s.object(t)
	}
	if _, made := s.named[name]; !made {
		s.named[name] = map[string]any{} // a struct may hold itself
		s.named[name] = s.object(t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []any{}
	s.fields(t, properties, &required)
	object := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}

// fields adds the fields of a struct, those of embedded ones as its own. What may
// be left out is not required.
func (s *schemas) fields(t reflect.Type, properties map[string]any, required *[]any) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct:
			s.fields(field.Type, properties, required)
		case !field.IsExported() || name == "-":
		default:
			if name == "" {
				name = field.Name
			}
			properties[name] = s.of(field.Type)
			if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
				*required = append(*required, name)
			}
		}
	}
}

// answers is the schema of what an endpoint answers on success, in a dry run too.
func (s *schemas) answers(e endpoint) map[string]any {
	if !e.rehearsed {
		return s.answer(e)
	}
	return map[string]any{"anyOf": []any{s.answer(e), s.answer(endpoint{gives: reflect.TypeFor[answer[dryRunView]]()})}}
}

// answer is the schema of what an endpoint answers on success.
func (s *schemas) answer(e endpoint) map[string]any {
	if !e.gives.Implements(reflect.TypeFor[interface{ enveloped() envelope }]()) {
		return s.of(e.gives)
	}
	properties := map[string]any{"status": map[string]any{"const": "success"}, "message": map[string]any{"type": "string"}}
	required := []any{"status", "message"}
	data, _ := e.gives.FieldByName("data")
	if data.Type != reflect.TypeFor[none]() {
		properties["data"] = s.of(data.Type)
		required = append(required, "data")
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

// failure is the schema of every failure.
func (s *schemas) failure() map[string]any {
	s.named["Failure"] = map[string]any{
		"type": "object", "required": []any{"status", "message"},
		"properties": map[string]any{
			"status": map[string]any{"const": "failure"}, "message": map[string]any{"type": "string"},
			"errors": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
		},
	}
	return map[string]any{"$ref": "#/components/schemas/Failure"}
}

// schemaName is a type's name for people: hostItem is HostItem, and a page of them
// PageHostItem. Types without a name have none.
func schemaName(t reflect.Type) string {
	name := t.Name()
	outer, inner, generic := strings.Cut(name, "[")
	if generic {
		inner = strings.TrimSuffix(inner, "]")
		inner = inner[strings.LastIndex(inner, ".")+1:]
	}
	return capital(outer) + capital(inner)
}

func capital(word string) string {
	for i, letter := range word {
		return string(unicode.ToUpper(letter)) + word[i+len(string(letter)):]
	}
	return ""
}

// literal is a default as JSON.
func literal(text string, t reflect.Type) any {
	switch t.Kind() {
	case reflect.Bool:
		value, _ := strconv.ParseBool(text) // a default is ours, and valid
		return value
	case reflect.Int, reflect.Int64:
		value, _ := strconv.ParseInt(text, 10, 64)
		return value
	}
	return text
}
