package httpkit

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"muster/server/fault"
)

// The sentences for a required argument that was not sent.
const (
	missingInBody = "Missing required parameter in the JSON body or the post body"
	missing       = missingInBody + " or the query string"
	missingUpload = "Missing required parameter in an uploaded file"
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
//	arg:"NAME[,required][,body][,default=V][,choices=a|b][,min=N][,max=N]"
//	             body: what the query string says is ignored, for what is secret
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
	err := planOf[Req]().decode(r, &req)
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

func (p *plan) decode(r *http.Request, req any) error {
	if p.err != nil {
		return p.err
	}
	args, err := arguments(r)
	if err != nil {
		return err
	}
	wrong := map[string]string{}
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
		found = found && !(f.bodyOnly && given.inURL)
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

// set converts one argument; it returns what is wrong with it, or "".
func (f *field) set(into reflect.Value, given argument, found bool) string {
	if found && given.isJSON && given.json == nil {
		if f.required {
			return "Must not be null!"
		}
		found = false
	}
	value, problem := reflect.Value{}, ""
	if found {
		if value, problem = f.convert(given); problem != "" {
			return problem
		}
	}
	if !value.IsValid() || f.blankChoice(value) {
		switch {
		case f.required && f.upload:
			return missingUpload
		case f.required && f.bodyOnly:
			return missingInBody
		case f.required:
			return missing
		case f.fallback == nil:
			return ""
		}
		if value, problem = f.convert(argument{texts: []string{*f.fallback}}); problem != "" {
			return problem
		}
	}
	if problem := f.check(value); problem != "" {
		return problem
	}
	if f.pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	into.Set(value.Convert(into.Type()))
	return ""
}

// blankChoice reports an empty value of an argument with choices: forms send
// those for "any".
func (f *field) blankChoice(value reflect.Value) bool {
	return len(f.choices) > 0 && value.Kind() == reflect.String && value.Len() == 0
}

func (f *field) check(value reflect.Value) string {
	if len(f.choices) > 0 && value.Kind() == reflect.String {
		for _, choice := range f.choices {
			if value.String() == choice {
				return ""
			}
		}
		return fmt.Sprintf("The value %s is not a valid choice for '%s'.", quote(value.String()), f.name)
	}
	if value.Kind() != reflect.Int && value.Kind() != reflect.Int64 {
		return ""
	}
	if f.min != nil && value.Int() < *f.min {
		return fmt.Sprintf("%d is less than %d", value.Int(), *f.min)
	}
	if f.max != nil && value.Int() > *f.max {
		return fmt.Sprintf("%d is more than %d", value.Int(), *f.max)
	}
	return ""
}
