package adminapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"muster/server/fault"
	"muster/server/httpkit"
	"muster/server/indicator"
	"muster/server/intel"
)

// importLimit bounds a file of indicators and the form around it, in bytes.
const importLimit = 64<<20 + 64<<10

// importTime is how long a request with a file may take: a million indicators take a
// minute or two to store, which is more than other requests get.
const importTime = 10 * time.Minute

// patiently gives an endpoint more time to read its request and to answer.
func patiently(e endpoint, most time.Duration) endpoint {
	inner := e.Handler
	e.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, until := http.NewResponseController(w), time.Now().Add(most)
		_, _ = control.SetReadDeadline(until), control.SetWriteDeadline(until) // what cannot wait ends as others do
		inner.ServeHTTP(w, r)
	})
	return e
}

type importIOCsRequest struct {
	Feed       string       `arg:"feed,required"`
	File       httpkit.File `arg:"file"`
	Content    string       `arg:"content"` // instead of a file
	Format     string       `arg:"format,choices=csv|list|stix|misp|otx"`
	Type       string       `arg:"type,choices=md5|sha1|sha256|domain_name|remote_address|url|path"`
	ThreatName string       `arg:"threat_name"`
	Severity   string       `arg:"severity,default=WARNING,choices=INFO|LOW|WARNING|CRITICAL"`
	Confidence int          `arg:"confidence,default=0,min=0,max=100"`
	Expires    string       `arg:"expires"`
	Replace    bool         `arg:"replace,default=false"`
}

// iocImportView is what became of a file. Problems has the first thousand of what is bad.
type iocImportView struct {
	Feed     string           `json:"feed"`
	Format   string           `json:"format"`
	Stored   int              `json:"stored"`
	Added    int              `json:"added"`
	Changed  int              `json:"changed"`
	Deleted  int              `json:"deleted"`
	Bad      int              `json:"bad"`
	Skipped  int              `json:"skipped"`
	Problems []iocProblemView `json:"problems"`
}

type iocProblemView struct {
	Number int    `json:"number"`
	Reason string `json:"reason"`
}

func (a *api) importIOCs(ctx context.Context, r importIOCsRequest) (answer[iocImportView], error) {
	expires, err := a.expiry(r.Expires)
	if err != nil {
		return answer[iocImportView]{}, err
	}
	content := r.File.Content
	if len(content) == 0 {
		content = []byte(r.Content)
	}
	if len(content) == 0 {
		return answer[iocImportView]{}, fault.Fields(map[string]string{"file": "A file, or its text as content, is required"})
	}
	threat := strings.TrimSpace(r.ThreatName)
	if threat == "" {
		threat = r.Feed
	}
	done, err := a.feedTurn(ctx)
	if err != nil {
		return answer[iocImportView]{}, err
	}
	defer done()
	parsed, err := intel.Parse(content, intel.Format(r.Format), intel.Defaults{
		Type: indicator.Type(r.Type), ThreatName: threat, Severity: r.Severity, Confidence: r.Confidence, Expires: expires,
	})
	if err != nil {
		return answer[iocImportView]{}, err
	}
	view := iocImportView{Feed: r.Feed, Format: string(parsed.Format), Bad: parsed.Bad, Skipped: parsed.Skipped, Problems: make([]iocProblemView, 0, len(parsed.Problems))}
	for _, p := range parsed.Problems {
		view.Problems = append(view.Problems, iocProblemView(p))
	}
	if len(parsed.Indicators) == 0 {
		return answer[iocImportView]{}, nothingIn(view)
	}
	imported, err := a.Intel.Import(ctx, intel.Import{Feed: r.Feed, Indicators: parsed.Indicators, Replace: r.Replace})
	view.Stored, view.Added, view.Changed, view.Deleted = imported.Count, imported.Added, imported.Changed, imported.Deleted
	if imported.Count > 0 {
		a.record(ctx, "iocs.import", r.Feed, map[string]any{
			"format": view.Format, "stored": imported.Count, "added": imported.Added, "changed": imported.Changed, "deleted": imported.Deleted, "bad": view.Bad, "replace": r.Replace, "complete": err == nil,
		})
	}
	if err != nil {
		return answer[iocImportView]{}, err
	}
	return answer[iocImportView]{"Successfully imported the iocs", view}, nil
}

// feedWait is how long an import waits for the one before it.
const feedWait = 20 * time.Second

// feedTurn waits until no other feed is imported: the largest take a gigabyte each. done
// is called at the end. Faults: Busy.
func (a *api) feedTurn(ctx context.Context) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, feedWait)
	defer cancel()
	select {
	case a.feeds <- struct{}{}:
		return func() { <-a.feeds }, nil
	case <-ctx.Done():
		return nil, fault.New(fault.Busy, "Another feed is being imported; try again in a minute")
	}
}

// nothingIn says why a file has nothing, by its first problem.
func nothingIn(view iocImportView) error {
	why := "There is no indicator in the file"
	if len(view.Problems) > 0 {
		why += ": " + view.Problems[0].Reason
	}
	return fault.New(fault.Unprocessable, "%s", why)
}

// expiry reads a time to come.
func (a *api) expiry(text string) (time.Time, error) {
	if strings.TrimSpace(text) == "" {
		return time.Time{}, nil
	}
	at, err := argMoment("expires", text)
	if err == nil && !at.After(a.Now()) {
		err = fault.Fields(map[string]string{"expires": "This is past already"})
	}
	return at, err
}
