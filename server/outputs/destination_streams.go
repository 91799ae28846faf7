package outputs

import (
	"context"
	"time"

	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/results"
)

// ends is where a stream begins and ends.
type ends struct {
	oldest, newest int64     // ids: of the oldest row there is (newest+1 if none), and the newest handed out
	since          time.Time // when the first row after a position came; zero when there is none
}

func (d *Destinations) ends(ctx context.Context, stream Stream, after int64) (ends, error) {
	switch stream {
	case StreamAlerts:
		oldest, newest, since, err := d.alerts.Ends(ctx, after)
		return ends{oldest, newest, since}, err
	case StreamStatus:
		e, err := d.results.StatusEnds(ctx, after)
		return ends{e.Oldest, e.Newest, e.Since}, err
	default:
		e, err := d.results.Ends(ctx, after)
		return ends{e.Oldest, e.Newest, e.Since}, err
	}
}

// fetched are rows of a stream on their way to become lines.
type fetched struct {
	rows       []row
	next       results.Place
	more, full bool // see results.Followed
	missed     int64
}

// row is a row of any stream.
type row struct {
	id, hostID int64
	at         time.Time // it arrived, or was raised
	render     func(h *hosts.Host, f Format, whole bool) ([]byte, error)
}

// fetch reads the rows of a stream that come after a place.
func (d *Destinations) fetch(ctx context.Context, stream Stream, after results.Place, most results.FollowLimit) (fetched, error) {
	switch stream {
	case StreamAlerts:
		found, err := d.alerts.Follow(ctx, after.ID, most.Rows, most.Bytes)
		got := fetched{next: results.Place{ID: found.Next}, more: found.More, full: found.Full, missed: found.Missed}
		for _, a := range found.Alerts {
			got.rows = append(got.rows, row{a.ID, a.HostID, a.Created, func(h *hosts.Host, f Format, whole bool) ([]byte, error) { return alertLine(a, h, f, whole) }})
		}
		return got, err
	case StreamStatus:
		found, err := d.results.FollowStatus(ctx, after, most)
		got := fetched{next: found.Next, more: found.More, full: found.Full, missed: found.Missed}
		for _, s := range found.Rows {
			got.rows = append(got.rows, row{s.ID, s.HostID, s.ReceivedAt, func(h *hosts.Host, f Format, whole bool) ([]byte, error) { return statusLine(s, h, f, whole) }})
		}
		return got, err
	default:
		found, err := d.results.Follow(ctx, after, most)
		got := fetched{next: found.Next, more: found.More, full: found.Full, missed: found.Missed}
		for _, r := range found.Rows {
			got.rows = append(got.rows, row{r.ID, r.HostID, r.ReceivedAt, func(h *hosts.Host, f Format, whole bool) ([]byte, error) { return resultLine(r, h, f, whole) }})
		}
		return got, err
	}
}

// lines renders rows, each with the host that it is of. A host that is not there any
// more has nothing but its id. The columns of a line that the receiver would not take
// are left out, which the line says.
func (d *Destinations) lines(ctx context.Context, rows []row, f Format, maxLine int) ([]line, error) {
	known := map[int64]*hosts.Host{}
	lines := make([]line, 0, len(rows))
	for _, r := range rows {
		h := known[r.hostID]
		if h == nil {
			found, err := d.hosts.FindByID(ctx, r.hostID)
			switch {
			case fault.Is(err, fault.NotFound):
				found = &hosts.Host{ID: r.hostID}
			case err != nil:
				return nil, err
			}
			h, known[r.hostID] = found, found
		}
		text, err := r.render(h, f, true)
		if err == nil && maxLine > 0 && len(text) > maxLine {
			text, err = r.render(h, f, false)
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, line{host: hostKey(h), name: h.DisplayName(), at: r.at, text: text})
	}
	return lines, nil
}
