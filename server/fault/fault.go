// Package fault names the kinds of failure that a caller can act on.
//
// A fault has a kind, a public sentence that may be shown to a client, and a
// cause that only the log sees. Features return faults; each door maps kinds
// to its own wire. An error that is no fault counts as Internal.
package fault

import (
	"errors"
	"fmt"
	"sort"
)

// Kind says what the caller can do about a failure.
type Kind int

const (
	// Internal is a failure of ours: storage, a bug. The caller may retry.
	Internal Kind = iota
	// Invalid is a malformed or missing argument.
	Invalid
	// Unauthenticated means the caller is definitely not who it claims to be.
	// It is never used because a lookup failed.
	Unauthenticated
	// Forbidden means the caller is known and may not do this.
	Forbidden
	// NotFound means the thing does not exist.
	NotFound
	// Conflict means the thing exists already or is in another state.
	Conflict
	// Unprocessable is content that parses but is wrong.
	Unprocessable
	// TooMany means the caller has to slow down.
	TooMany
	// Busy means we are: full queues, shutdown, a database that cannot be reached.
	Busy
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "forbidden", "not_found", "conflict", "unprocessable", "too_many", "busy"}

// String returns the kind's name as it stands in logs and metrics.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "internal"
	}
	return kindNames[k]
}

// Fault is an error with a kind and a public sentence.
type Fault struct {
	kind   Kind
	public string
	fields map[string]string
	cause  error
}

// New makes a fault. The sentence may be shown to clients: it must hold no
// secret and no inner detail.
func New(kind Kind, public string, args ...any) *Fault {
	if len(args) > 0 {
		public = fmt.Sprintf(public, args...)
	}
	return &Fault{kind: kind, public: public}
}

// Wrap makes a fault with a cause that only the log will see.
func Wrap(cause error, kind Kind, public string, args ...any) *Fault {
	f := New(kind, public, args...)
	f.cause = cause
	return f
}

// Fields makes an Invalid fault that names each argument and what is wrong with it.
func Fields(fields map[string]string) *Fault {
	return &Fault{kind: Invalid, public: "Input payload validation failed", fields: fields}
}

// Naming adds to a fault what is wrong with each argument, and returns it.
func (f *Fault) Naming(fields map[string]string) *Fault {
	f.fields = fields
	return f
}

// Error returns the public sentence, the fields and the cause: for logs.
func (f *Fault) Error() string {
	text := f.public
	names := make([]string, 0, len(f.fields))
	for name := range f.fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		text += "; " + name + ": " + f.fields[name]
	}
	if f.cause != nil && f.cause.Error() != "" {
		text += ": " + f.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.cause }

// KindOf returns the kind of the first fault in the chain; Internal for any other error.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.kind
	}
	return Internal
}

// Is reports whether err is a fault of that kind. A nil error is of no kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Public returns the sentence that a client may see.
func Public(err error) string {
	var f *Fault
	if errors.As(err, &f) {
		return f.public
	}
	return "Internal server error"
}

// FieldsOf returns the arguments a fault names, or nil.
func FieldsOf(err error) map[string]string {
	var f *Fault
	if errors.As(err, &f) {
		return f.fields
	}
	return nil
}
