package httpkit

import (
	"fmt"
	"reflect"
	"strings"
)

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
	value = f.pageSize(value)
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

// pageSize bounds the size of a page; no size at all is no argument.
func (f *field) pageSize(value reflect.Value) reflect.Value {
	switch {
	case !f.page || !value.IsValid():
		return value
	case value.Int() == 0:
		return reflect.Value{}
	case f.max != nil && value.Int() > *f.max:
		return reflect.ValueOf(*f.max)
	}
	return value
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
		return fmt.Sprintf("The value %s is not a valid choice for '%s'. Valid are: %s", quote(value.String()), f.name, strings.Join(f.choices, ", "))
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
