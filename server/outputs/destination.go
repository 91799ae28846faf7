package outputs

import (
	"context"
	"crypto/x509"
	"time"
)

// Stream is one of the logs that are forwarded.
type Stream string

// The streams: rows of scheduled queries, the agents' status messages, alerts.
const (
	StreamResults Stream = "results"
	StreamStatus  Stream = "status"
	StreamAlerts  Stream = "alerts"
)

// Streams lists them all.
func Streams() []Stream { return []Stream{StreamResults, StreamStatus, StreamAlerts} }

// streamTest is what test lines are sent under.
const streamTest Stream = "test"

// Format is how a row becomes a line.
type Format string

// The formats: ours, and the flat one of the original server (ESP reference, section 3).
const (
	FormatMuster Format = "muster"
	FormatESP    Format = "esp"
)

// Destination is a place that streams are forwarded to.
type Destination struct {
	ID       int64
	Name     string
	Kind     string
	Streams  []Stream // in the order of Streams
	Format   Format
	Active   bool
	Settings map[string]any // of the kind, with Mask in place of secrets
	Created  time.Time
	Updated  time.Time
}

// Progress is how far a stream got on its way to a destination.
type Progress struct {
	Destination  string
	Stream       Stream
	Active       bool
	Position     int64         // the id that everything was taken up to
	BehindRows   int64         // ids after it; 0 when no row waits
	Behind       time.Duration // for which the first row that waits has been there; 0 when none does
	Delivered    int64         // rows taken since the destination was made
	DeliveredAt  time.Time     // the last time that rows were taken
	Missed       int64         // rows that retention took first; see results.Followed
	FailingSince time.Time     // zero while all is well
	LastError    string        // fit to be shown; empty while all is well
}

// sender hands lines to one receiver. It is used by one goroutine.
type sender interface {
	// send returns nil once the receiver has acknowledged every line. After an error
	// some may have arrived; the same batch comes again, perhaps to another sender.
	// The fault's sentence holds no secret and nothing that the receiver said; a
	// *sendError as its cause says how long to wait.
	send(ctx context.Context, b batch) error
	close()
}

// batch is what is handed over at once: lines of one stream in the order of ids.
type batch struct {
	destination string // its name
	stream      Stream
	first, last int64 // ids that the batch stands for; a repeat has the same when batching.repeats
	lines       []line
}

// line is one row as it goes out.
type line struct {
	host string // its identifier; what is in order is in order per host
	name string // of the host, for people
	at   time.Time
	text []byte // a JSON object without a line end
}

// batching says how a receiver wants its batches.
type batching struct {
	rows, bytes int           // at most, but for one row at least
	linger      time.Duration // a batch that is not full waits for more until its first row is so old
	maxLine     int           // bytes of a line that it takes; the columns of longer ones are left out; 0: any
	// repeats: after a failure, or a restart in the middle, the same rows come as one
	// batch again, so that a receiver that goes by first and last has them once.
	repeats bool
}

// destinationSettings are those of one destination as its kind understands them. The
// JSON names of their fields are those of the API and of what is stored. Secrets in
// them are plain.
type destinationSettings interface {
	// check puts defaults in and reports what is wrong, naming the field. Faults:
	// Unprocessable.
	check(o DestinationOptions) error
	// secrets are the fields that are sealed in the database and not shown.
	secrets() map[string]*string
	// receiver names who gets the secrets: when it changes, they are entered again.
	receiver() string
	batching() batching
	// open makes a sender. It need not reach the receiver yet.
	open(o DestinationOptions) (sender, error)
}

// destinationKinds is the registry: the kinds, each in a file of its own.
var destinationKinds = map[string]func() destinationSettings{
	"file":    func() destinationSettings { return &fileSettings{} },
	"syslog":  func() destinationSettings { return &syslogSettings{} },
	"webhook": func() destinationSettings { return &forwardSettings{} },
	"kafka":   func() destinationSettings { return &kafkaSettings{} },
	"s3":      func() destinationSettings { return &s3Settings{} },
}

// DestinationOptions are what destinations need of the server, and their limits; the
// zero value of a limit means its default.
type DestinationOptions struct {
	Folder string   // below which relative paths of files lie
	Paths  []string // folders in which absolute ones may lie

	Roots *x509.CertPool // authorities of receivers that name none themselves (nil: the system's)
	Now   func() time.Time

	SendTimeout time.Duration // of one batch (60 s)
	Poll        time.Duration // the longest wait between two looks (5 s)
	Takeover    time.Duration // how soon another replica goes on where one stopped cleanly (10 s)
	RetryMin    time.Duration // the wait after a failure, doubled by each (1 s)
	RetryMax    time.Duration // up to this (5 min)
	BatchRows   int           // rows that one batch takes at most (2,000)
	BatchBytes  int           // bytes of them (4 MiB); some kinds have their own
}

func (o DestinationOptions) withDefaults() DestinationOptions {
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.SendTimeout, time.Minute}, {&o.Poll, 5 * time.Second}, {&o.Takeover, 10 * time.Second},
		{&o.RetryMin, time.Second}, {&o.RetryMax, 5 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.BatchRows <= 0 {
		o.BatchRows = 2_000
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = 4 << 20
	}
	return o
}
