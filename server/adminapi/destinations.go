package adminapi

import (
	"context"
	"maps"
	"slices"
	"time"

	"muster/server/fault"
	"muster/server/outputs"
)

// destinationRoutes are ours: the document has no log destinations.
func (a *api) destinationRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/destinations", in, handle(a, a.listDestinations), "View log destinations and how far each is behind"},
		{"POST", "/destinations/add", in, act(a, a.addDestination), "Add a log destination"},
		{"GET", "/destinations/{name}", in, handle(a, a.viewDestination), "View a log destination"},
		{"POST", "/destinations/{name}", in, act(a, a.changeDestination), "Change a log destination"},
		{"DELETE", "/destinations/{name}", in, act(a, a.deleteDestination), "Delete a log destination"},
		{"POST", "/destinations/{name}/test", in, act(a, a.testDestination), "Send one test line to a log destination now"},
		{"POST", "/destinations/{name}/rewind", in, act(a, a.rewindDestination), "Move a stream of a log destination back or on"},
	}
}

// destinationView is a destination with masks in the place of secrets. The fields of
// its settings follow from its kind (docs/detection.md).
type destinationView struct {
	Name      string         `json:"name"`
	Kind      string         `json:"kind"`
	Format    string         `json:"format"`
	Active    bool           `json:"active"`
	Settings  map[string]any `json:"settings"`
	Streams   []streamView   `json:"streams"`
	CreatedAt *string        `json:"created_at"`
	UpdatedAt *string        `json:"updated_at"`
}

// streamView is how far a destination got with a stream.
type streamView struct {
	Stream        string  `json:"stream"`
	Position      int64   `json:"position"`
	BehindRows    int64   `json:"behind_rows"`
	BehindSeconds float64 `json:"behind_seconds"`
	Delivered     int64   `json:"delivered"`
	DeliveredAt   *string `json:"delivered_at"`
	Missed        int64   `json:"missed"`
	FailingSince  *string `json:"failing_since"`
	LastError     *string `json:"last_error"`
}

func viewDestination(d outputs.Destination, progress []outputs.Progress) destinationView {
	view := destinationView{d.Name, d.Kind, string(d.Format), d.Active, orEmpty(d.Settings), []streamView{}, iso(d.Created), iso(d.Updated)}
	for _, p := range progress {
		if p.Destination != d.Name {
			continue
		}
		view.Streams = append(view.Streams, streamView{
			string(p.Stream), p.Position, p.BehindRows, p.Behind.Round(time.Millisecond).Seconds(), p.Delivered, iso(p.DeliveredAt), p.Missed,
			iso(p.FailingSince), orNull(p.LastError),
		})
	}
	return view
}

func (a *api) listDestinations(ctx context.Context, _ struct{}) (answer[[]destinationView], error) {
	all, err := a.Destinations.List(ctx)
	if err != nil {
		return answer[[]destinationView]{}, err
	}
	progress, err := a.Destinations.Progress(ctx, "")
	views := make([]destinationView, 0, len(all))
	for _, d := range all {
		views = append(views, viewDestination(d, progress))
	}
	return answer[[]destinationView]{"Successfully fetched the log destinations", views}, err
}

type pathDestination struct {
	Name string `path:"name"`
}

func (a *api) viewDestination(ctx context.Context, r pathDestination) (answer[destinationView], error) {
	d, err := a.Destinations.Find(ctx, r.Name)
	if err != nil {
		return answer[destinationView]{}, err
	}
	return a.destinationAnswer(ctx, "Successfully fetched the log destination", d)
}

func (a *api) destinationAnswer(ctx context.Context, message string, d outputs.Destination) (answer[destinationView], error) {
	progress, err := a.Destinations.Progress(ctx, d.Name)
	return answer[destinationView]{message, viewDestination(d, progress)}, err
}

// addDestination: settings come from the body alone, since they hold secrets.
type addDestination struct {
	Name     string         `arg:"name,required"`
	Kind     string         `arg:"kind,required"`
	Streams  []string       `arg:"streams,required"`
	Format   string         `arg:"format,default=muster"`
	Active   bool           `arg:"active,default=true"`
	Start    string         `arg:"start,default=now"` // or beginning
	Settings map[string]any `arg:"settings,body"`
}

func (a *api) addDestination(ctx context.Context, r addDestination) (answer[destinationView], error) {
	if r.Start != outputs.RewindNow && r.Start != outputs.RewindBeginning {
		return answer[destinationView]{}, fault.Fields(map[string]string{"start": "give now or beginning"})
	}
	added, err := a.Destinations.Add(ctx, outputs.NewDestination{
		Name: r.Name, Kind: r.Kind, Streams: streamsOf(r.Streams), Format: outputs.Format(r.Format), Active: r.Active, Settings: r.Settings,
		FromBeginning: r.Start == outputs.RewindBeginning,
	})
	if err != nil {
		return answer[destinationView]{}, err
	}
	a.record(ctx, "destination.add", added.Name, map[string]any{"after": destinationDetail(added), "start": r.Start})
	return a.destinationAnswer(ctx, "The log destination is added successfully", added)
}

func streamsOf(names []string) (streams []outputs.Stream) {
	for _, name := range names {
		streams = append(streams, outputs.Stream(name))
	}
	return streams
}

// changeDestination: what is not sent stays. Settings are sent as a whole, with masks
// for secrets that stay.
type changeDestination struct {
	Name     string         `path:"name"`
	Streams  []string       `arg:"streams"`
	Format   *string        `arg:"format"`
	Active   *bool          `arg:"active"`
	Settings map[string]any `arg:"settings,body"`
}

func (a *api) changeDestination(ctx context.Context, r changeDestination) (answer[destinationView], error) {
	change := outputs.DestinationChange{Active: r.Active, Format: (*outputs.Format)(r.Format)}
	if r.Streams != nil {
		streams := streamsOf(r.Streams)
		change.Streams = &streams
	}
	if r.Settings != nil {
		change.Settings = &r.Settings
	}
	before, after, err := a.Destinations.Change(ctx, r.Name, change)
	if err != nil {
		return answer[destinationView]{}, err
	}
	a.record(ctx, "destination.set", after.Name, map[string]any{
		"before": destinationDetail(before), "after": destinationDetail(after),
		"given": slices.Sorted(maps.Keys(r.Settings)), // tells of secrets too, which look the same before and after
	})
	return a.destinationAnswer(ctx, "The log destination is changed successfully", after)
}

func (a *api) deleteDestination(ctx context.Context, r pathDestination) (answer[none], error) {
	deleted, err := a.Destinations.Delete(ctx, r.Name)
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "destination.delete", deleted.Name, map[string]any{"before": destinationDetail(deleted)})
	return answer[none]{message: "The log destination is deleted successfully"}, nil
}

// testDestination takes as long as the receiver does, up to some 20 seconds. That it
// failed is an answer of 422 that says why.
func (a *api) testDestination(ctx context.Context, r pathDestination) (answer[none], error) {
	err := a.Destinations.Test(ctx, r.Name)
	if fault.Is(err, fault.NotFound) {
		return answer[none]{}, err
	}
	outcome := "sent"
	if err != nil {
		outcome = fault.Public(err)
	}
	a.record(ctx, "destination.test", r.Name, map[string]any{"outcome": outcome})
	return answer[none]{message: "A test line is sent successfully"}, err
}

// rewindDestination moves to now, to the beginning of what is stored, or after an id.
type rewindDestination struct {
	Name   string `path:"name"`
	Stream string `arg:"stream,required"`
	To     string `arg:"to,required"`
}

func (a *api) rewindDestination(ctx context.Context, r rewindDestination) (answer[destinationView], error) {
	before, after, err := a.Destinations.Rewind(ctx, r.Name, outputs.Stream(r.Stream), r.To)
	if err != nil {
		return answer[destinationView]{}, err
	}
	a.record(ctx, "destination.rewind", r.Name, map[string]any{"stream": r.Stream, "to": r.To, "before": before, "after": after})
	d, err := a.Destinations.Find(ctx, r.Name)
	if err != nil {
		return answer[destinationView]{}, err
	}
	return a.destinationAnswer(ctx, "The log destination goes on from there", d)
}

// destinationDetail is a destination in the audit trail.
func destinationDetail(d outputs.Destination) map[string]any {
	return map[string]any{"kind": d.Kind, "format": d.Format, "active": d.Active, "streams": list(d.Streams), "settings": orEmpty(d.Settings)}
}
