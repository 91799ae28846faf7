package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestFault(t *testing.T) {
	cause := errors.New("dial tcp: refused")
	wrapped := fmt.Errorf("find host: %w", Wrap(cause, Busy, "storage is down"))
	tests := []struct {
		name   string
		err    error
		kind   Kind
		public string
	}{
		{"a plain error is internal and says nothing", cause, Internal, "Internal server error"},
		{"a fault keeps its kind through wrapping", wrapped, Busy, "storage is down"},
		{"a sentence takes arguments", New(NotFound, "no host %d", 7), NotFound, "no host 7"},
		{"named fields are invalid input", Fields(map[string]string{"limit": "not a number"}), Invalid, "Input payload validation failed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if KindOf(test.err) != test.kind || Public(test.err) != test.public {
				t.Errorf("got %v %q, want %v %q", KindOf(test.err), Public(test.err), test.kind, test.public)
			}
		})
	}
	if !errors.Is(wrapped, cause) {
		t.Error("the cause is lost")
	}
	if Is(nil, Internal) {
		t.Error("nil is a fault")
	}
}
