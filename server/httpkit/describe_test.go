package httpkit

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArgumentsAreThoseOfTheRequest(t *testing.T) {
	type paging struct {
		Start int `arg:"start,default=0,min=0"`
	}
	type request struct {
		ID int64 `path:"id"`
		paging
		Kind   string   `arg:"type,required,choices=a|b"`
		Secret string   `arg:"secret,body"`
		Tags   []string `arg:"tags"`
		File   File     `arg:"file,required"`
		Other  string
	}
	var names []string
	for _, a := range Arguments(reflect.TypeFor[request]()) {
		names = append(names, a.Name+" "+a.Type.String())
	}
	want := []string{"id int64", "start int", "type string", "secret string", "tags []string", "file httpkit.File"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	kind := Arguments(reflect.TypeFor[request]())[2]
	if !kind.Required || !cmp.Equal(kind.Choices, []string{"a", "b"}) {
		t.Errorf("%+v", kind)
	}
	if got := Arguments(reflect.TypeFor[struct {
		Broken chan int `arg:"x"`
	}]()); len(got) != 0 {
		t.Errorf("a request that cannot be decoded has arguments: %+v", got)
	}
}
