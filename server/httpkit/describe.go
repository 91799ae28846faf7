package httpkit

import "reflect"

// Argument is what a request struct says of one argument, for descriptions of an API.
type Argument struct {
	Name     string
	Type     reflect.Type // of the value; string, int, []string, File, ...
	InPath   bool
	BodyOnly bool // not taken from the query string
	Required bool
	Page     bool // a number over Max is as good as Max, and 0 as good as none
	Default  *string
	Choices  []string
	Min, Max *int64
}

// Arguments lists the arguments of a request struct in the order of its fields;
// see Decode. It is empty for a type that Decode would refuse.
func Arguments(request reflect.Type) []Argument {
	plan := planFor(request)
	if plan.err != nil {
		return nil
	}
	list := make([]Argument, 0, len(plan.fields))
	for _, f := range plan.fields {
		list = append(list, Argument{
			Name: f.name, Type: f.kind, InPath: f.fromPath, BodyOnly: f.bodyOnly, Required: f.required, Page: f.page,
			Default: f.fallback, Choices: f.choices, Min: f.min, Max: f.max,
		})
	}
	return list
}
