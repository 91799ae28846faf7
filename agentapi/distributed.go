package agentapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"muster/server/distributed"
	"muster/server/fault"
	"muster/server/hosts"
)

// read answers with the queries that a host should run now (osquery-tls 4.2).
func (d *Door) read(ctx context.Context, r *http.Request) ([]byte, error) {
	host, _, err := d.identify(ctx, r, d.limits.Request)
	if err != nil {
		return nil, err
	}
	d.Hosts.Seen(host.ID, hosts.ContactQueryRead, d.Address(r))
	work, err := d.Pipeline.Work(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(work.Queries) == 0 && work.Accelerate == 0 {
		return accepted, nil
	}
	answer := struct {
		Queries    map[string]string `json:"queries,omitempty"`
		Accelerate int               `json:"accelerate,omitempty"`
	}{work.Queries, work.Accelerate}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(answer)
	return bytes.TrimSpace(body.Bytes()), err
}

// maxSmall bounds a message or the stats of one query.
const maxSmall = 16 << 10

// maxReports bounds how many answers one write may carry.
const maxReports = 4096

// write takes a host's answers (osquery-tls 4.3). Whatever the ids are, a write
// that can be read is accepted: refused ones come back for ever.
func (d *Door) write(ctx context.Context, r *http.Request) ([]byte, error) {
	var host *hosts.Host
	var err error
	if headerKey(r) != "" {
		if host, err = d.authenticate(ctx, r, ""); err != nil {
			return nil, err
		}
	}
	b, err := openBody(r, d.limits.Body)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	reader := newAnswerReader(b, d.limits.Answer)
	readErr := reader.read()
	if broken(readErr) {
		return nil, fault.Wrap(readErr, fault.Busy, "the body did not arrive whole")
	}
	if host == nil {
		if reader.nodeKey == "" && readErr != nil {
			reader.nodeKey = b.keyAtTheEnd()
		}
		if host, err = d.authenticate(ctx, r, reader.nodeKey); err != nil {
			return nil, err
		}
	}
	if readErr != nil {
		d.Log.Warn("an answer could not be read to its end", "host_id", host.ID, "error", readErr)
	}
	d.Hosts.Seen(host.ID, hosts.ContactQueryWrite, d.Address(r))
	if err := d.Pipeline.Answer(ctx, host, reader.all()); err != nil {
		return nil, err
	}
	return accepted, nil
}

// answerReader reads a distributed/write body member by member, keeping at most
// left bytes of rows in all and keep bytes of one query's.
type answerReader struct {
	stream  stream
	keep    int
	left    int
	nodeKey string
	order   []string
	reports map[string]*distributed.Report
	dropped map[string]string // id -> why its rows were not kept
}

func newAnswerReader(b *body, keep int) *answerReader {
	return &answerReader{
		stream: stream{b.Reader}, keep: keep, left: 2 * keep,
		reports: map[string]*distributed.Report{}, dropped: map[string]string{},
	}
}

func (a *answerReader) read() error {
	return a.stream.object(func(key string) error {
		switch key {
		case "queries":
			return a.each(a.rows)
		case "statuses":
			return a.each(a.small(func(report *distributed.Report, value []byte) { report.Status = int(number(value)) }))
		case "messages":
			return a.each(a.small(func(report *distributed.Report, value []byte) { report.Message = text(value) }))
		case "stats":
			return a.each(a.small(func(report *distributed.Report, value []byte) {
				if value[0] == '{' {
					report.Stats = append(json.RawMessage(nil), value...)
				}
			}))
		case "node_key":
			value, err := a.value(maxKey)
			a.nodeKey = text(value)
			return err
		}
		return a.stream.skip()
	})
}

// each walks an object of ids; anything else in its place is passed over, as old
// agents send "" for an empty object.
func (a *answerReader) each(member func(*distributed.Report) error) error {
	c, err := a.stream.next()
	if err != nil {
		return err
	}
	if c != '{' {
		return a.stream.skip()
	}
	return a.stream.object(func(id string) error {
		if a.reports[id] == nil {
			if len(a.order) >= maxReports {
				return a.stream.skip()
			}
			a.order = append(a.order, id)
			a.reports[id] = &distributed.Report{ID: id, Rows: json.RawMessage("[]")}
		}
		return member(a.reports[id])
	})
}

// rows reads one query's rows: an array, or "" from old agents.
func (a *answerReader) rows(report *distributed.Report) error {
	var buffer bytes.Buffer
	keep := max(0, min(a.keep, a.left))
	size, err := a.stream.copyValue(&buffer, keep)
	if err != nil {
		return err
	}
	a.left -= buffer.Len()
	switch clean, ok := wellFormed(buffer.Bytes()); {
	case size > keep:
		a.dropped[report.ID] = fmt.Sprintf("the answer of %d bytes is larger than this server takes (%d) and was dropped: use LIMIT or fewer columns", size, keep)
	case ok && clean[0] == '[':
		report.Rows = clean
	}
	return nil
}

// small reads a short member: a status, a message, the stats of a query.
func (a *answerReader) small(set func(*distributed.Report, []byte)) func(*distributed.Report) error {
	return func(report *distributed.Report) error {
		value, err := a.value(max(0, min(maxSmall, a.left)))
		if err != nil || len(value) == 0 {
			return err
		}
		a.left -= len(value)
		set(report, value)
		return nil
	}
}

func (a *answerReader) value(keep int) ([]byte, error) {
	var buffer bytes.Buffer
	size, err := a.stream.copyValue(&buffer, keep)
	if err != nil || size > keep {
		return nil, err
	}
	clean, ok := wellFormed(buffer.Bytes())
	if !ok {
		return nil, nil
	}
	return clean, nil
}

func (a *answerReader) all() []distributed.Report {
	reports := make([]distributed.Report, 0, len(a.order))
	for _, id := range a.order {
		report := *a.reports[id]
		if why := a.dropped[id]; why != "" {
			report.Status, report.Message = 1, why
		}
		reports = append(reports, report)
	}
	return reports
}
