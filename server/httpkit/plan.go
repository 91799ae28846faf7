package httpkit

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"muster/server/fault"
)

// The sentences for a required argument that was not sent.
const (
	missingInBody = "Missing required parameter in the JSON body or the post body"
	missing       = missingInBody + " or the query string"
	missingUpload = "Missing required parameter in an uploaded file"
	notInURL      = "Must be in the JSON body or the post body: addresses end up in logs"
)

// plan is what a request struct asks for, read from its tags once.
type plan struct {
	fields []field
	err    error // a struct that cannot be decoded into: a mistake of ours
}

type field struct {
	index    []int
	name     string
	kind     reflect.Type
	fromPath bool
	bodyOnly bool
	required bool
	page     bool
	pointer  bool
	upload   bool
	fallback *string
	choices  []string
	min, max *int64
	convert  converter
}

// Decode fills a Req from the request, on any verb, from JSON body, form body,
// query string (the body wins) and path. Fields are named by tags:
//
//	arg:"NAME[,required][,body][,default=V][,choices=a|b][,min=N][,max=N][,page]"
//	             body: it is not taken from the query string, for what is secret
//	             page: the size of a page: 0 is as good as absent, more than max is max
//	path:"NAME"  a path wildcard, which no argument can overwrite
//
// Types: string, int, int64, bool, pointers to these (nil: absent), []string,
// []int64 (JSON array, repeated or comma value), map[string]any (a JSON object),
// File (an upload) and embedded structs of such fields. Numbers may be strings and strings
// numbers. Unknown arguments are ignored. Strings are valid UTF-8 without NUL.
// Afterwards Check() error is called if Req has it.
//
// Faults: Invalid; wrong and missing arguments are all named in one fault. NotFound
// for a path value of another type than asked for. The caller bounds the body.
func Decode[Req any](r *http.Request) (Req, error) {
	var req Req
	err := planOf[Req]().decode(r, &req, nil)
	return req, err
}

func planOf[Req any]() *plan { return planFor(reflect.TypeFor[Req]()) }

func planFor(t reflect.Type) *plan {
	p := &plan{}
	if t.Kind() != reflect.Struct {
		p.err = fault.New(fault.Internal, "%v is not a struct", t)
		return p
	}
	p.add(t, nil)
	return p
}

func (p *plan) add(t reflect.Type, at []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int{}, at...), i)
		arg, isArg := sf.Tag.Lookup("arg")
		wildcard, isPath := sf.Tag.Lookup("path")
		switch {
		case sf.Anonymous && sf.Type.Kind() == reflect.Struct:
			p.add(sf.Type, index)
		case isPath:
			p.addField(sf, field{index: index, name: wildcard, fromPath: true, required: true})
		case isArg:
			name, options, _ := strings.Cut(arg, ",")
			f := field{index: index, name: name}
			p.fail(sf, f.option(options))
			p.addField(sf, f)
		}
	}
}

func (p *plan) addField(sf reflect.StructField, f field) {
	base := sf.Type
	if f.pointer = base.Kind() == reflect.Pointer; f.pointer {
		base = base.Elem()
	}
	f.kind = base
	f.upload = base == reflect.TypeFor[File]()
	f.convert = converterOf(base)
	if f.convert == nil || !sf.IsExported() {
		p.fail(sf, fmt.Errorf("the type %v cannot be decoded", sf.Type))
	}
	p.fields = append(p.fields, f)
}

func (p *plan) fail(sf reflect.StructField, err error) {
	if err != nil && p.err == nil {
		p.err = fault.Wrap(fmt.Errorf("field %s: %w", sf.Name, err), fault.Internal, "Internal server error")
	}
}

func (f *field) option(options string) error {
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "":
		case "required":
			f.required = true
		case "body":
			f.bodyOnly = true
		case "page":
			f.page = true
		case "default":
			f.fallback = &value
		case "choices":
			f.choices = strings.Split(value, "|")
		case "min", "max":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return err
			}
			if key == "min" {
				f.min = &n
			} else {
				f.max = &n
			}
		default:
			return fmt.Errorf("unknown option %q", key)
		}
	}
	return nil
}

// decode is Decode; refused is the door's Refuse.
func (p *plan) decode(r *http.Request, req any, refused map[string]string) error {
	if p.err != nil {
		return p.err
	}
	args, err := arguments(r)
	if err != nil {
		return err
	}
	wrong := p.refuse(args, refused)
	target := reflect.ValueOf(req).Elem()
	for i := range p.fields {
		f := &p.fields[i]
		into := target.FieldByIndex(f.index)
		if f.fromPath {
			if problem := f.set(into, argument{texts: []string{r.PathValue(f.name)}}, true); problem != "" {
				return fault.New(fault.NotFound, "There is nothing at this address")
			}
			continue
		}
		given, found := args[f.name]
		if found && f.bodyOnly && given.inURL {
			if found = false; !f.required {
				wrong[f.name] = notInURL
			}
		}
		if problem := f.set(into, given, found); problem != "" {
			wrong[f.name] = problem
		}
	}
	if len(wrong) > 0 {
		return fault.Fields(wrong)
	}
	if checked, ok := req.(interface{ Check() error }); ok {
		return checked.Check()
	}
	return nil
}

// refuse names the arguments that the door refuses and the request does not take.
func (p *plan) refuse(args map[string]argument, refused map[string]string) map[string]string {
	wrong := map[string]string{}
	for name, why := range refused {
		given, found := args[name]
		if !found || slices.ContainsFunc(p.fields, func(f field) bool { return f.name == name }) {
			continue
		}
		if value, problem := toBool(given); problem != "" || value.IsValid() && value.Bool() {
			wrong[name] = why
		}
	}
	return wrong
}
