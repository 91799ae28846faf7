package intel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"muster/server/indicator"
)

// Service is a reputation service that can be asked about values.
type Service interface {
	// Types are what it knows: hashes first, and what else hosts report.
	Types() []indicator.Type
	// Address is where it is asked unless somebody says otherwise.
	Address() string
	// PerMinute is how many requests its free accounts may make.
	PerMinute() int
	// AtOnce is how many values of a type one call may ask about, and how many requests
	// that takes.
	AtOnce(base string) (values, requests int)
	// Ask returns what the service says about each value, in their order; what it does
	// not know is not detected. Errors are those of caller.get, and tell no secret.
	Ask(ctx context.Context, c *caller, of indicator.Type, values []string) ([]Verdict, error)
}

// services are all of them. A new one is a file, and a line here and among Providers.
var services = map[Provider]Service{VirusTotal: virusTotal{}, IBMXForce: xForce{}, AlienVault: otx{}}

// Verdict is what a service says about a value.
type Verdict struct {
	Provider Provider
	Type     indicator.Type
	Value    string
	Detected bool
	Severity string          // where it is detected
	Report   json.RawMessage // an object: the parts of its report that people read
	Checked  time.Time
	Expires  time.Time // it is asked again when the value is seen after that
}

// maxReport bounds what is kept of a report, in bytes.
const maxReport = 32 << 10

// report makes what is kept of a report.
func report(parts map[string]any) json.RawMessage {
	text, err := json.Marshal(parts)
	if err != nil || len(text) > maxReport {
		return json.RawMessage(`{"omitted":"the report is too large to be kept"}`)
	}
	return text
}

// errKey says that the service does not take the key.
var errKey = errors.New("the service does not accept the key")

// errNonsense says that an answer is not what the service answers.
var errNonsense = errors.New("the service answered what cannot be read")

// errLimited says that the service wants to be left alone for a while.
type errLimited struct{ wait time.Duration }

func (e errLimited) Error() string {
	return fmt.Sprintf("the service wants no request for %s", e.wait.Round(time.Second))
}
