package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"

	"muster/server/alerts"
	"muster/server/carves"
	"muster/server/database"
	"muster/server/fault"
	"muster/server/jobs"
	"muster/yara"
)

// ScanJob is the kind of the job that scans one carve. Its arguments are {"carve_id"}.
const ScanJob = "carve.scan"

// scanPage is how many carves are looked at in one step.
const scanPage = 500

// CarveScans scans every carve with every YARA file, when it is complete and again
// when the files change.
type CarveScans struct {
	*Raiser
	Carves *carves.Store
	YARA   *yara.Store
	Scan   yara.Scanner
	Log    *slog.Logger
}

type scanArgs struct {
	CarveID int64 `json:"carve_id"`
}

// Queue adds a job for each carve that was not scanned with the files as they are
// now, the newest first. One replica should call it every few seconds.
func (c *CarveScans) Queue(ctx context.Context) error {
	sources, digest := c.YARA.Sources()
	if len(sources) == 0 {
		return nil
	}
	for below := int64(math.MaxInt64); ; {
		ids, err := c.Carves.Completed(ctx, below, scanPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		open, err := c.YARA.Unscanned(ctx, ids, digest)
		if err != nil {
			return err
		}
		work := make([]jobs.NewJob, 0, len(open))
		for _, id := range open {
			work = append(work, jobs.NewJob{Kind: ScanJob, Args: scanArgs{id}, Key: strconv.FormatInt(id, 10), MaxAttempts: 4})
		}
		if err := c.Jobs.Add(ctx, work...); err != nil {
			return err
		}
		below = ids[len(ids)-1]
	}
}

// Work does a job. A scan that crashed or took too much is noted and not tried again
// until the files change.
func (c *CarveScans) Work(ctx context.Context, j jobs.Job) error {
	var args scanArgs
	if err := json.Unmarshal(j.Args, &args); err != nil {
		return jobs.GiveUp(err)
	}
	carve, err := c.Carves.FindByID(ctx, args.CarveID)
	if fault.Is(err, fault.NotFound) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	sources, digest := c.YARA.Sources()
	if open, err := c.YARA.Unscanned(ctx, []int64{carve.ID}, digest); err != nil || len(open) == 0 {
		return err
	}
	report, err := c.scan(ctx, carve, sources)
	scan := yara.CarveScan{CarveID: carve.ID, SetSHA256: digest, Status: yara.Scanned, Members: report.Members, Matches: len(report.Matches)}
	scan.Error = strings.Join(report.Problems, "; ")
	switch kind := fault.KindOf(err); {
	case err != nil && (kind == fault.Unprocessable || kind == fault.NotFound):
		scan.Status, scan.Error = yara.ScanFailed, fault.Public(err)
		c.Log.Error("a carve could not be scanned", "carve_id", carve.ID, "error", err)
	case err != nil:
		return err
	}
	return c.save(ctx, carve, scan, report)
}

func (c *CarveScans) scan(ctx context.Context, carve *carves.Carve, sources []yara.Source) (yara.Report, error) {
	file, _, err := c.Carves.Open(ctx, carve.SessionID)
	if err != nil {
		return yara.Report{}, err
	}
	defer func() { _ = file.Close() }()
	return c.Scan(ctx, yara.Order{Sources: sources, Format: string(carve.Format), GUID: carve.GUID}, file)
}

// save stores how the scan went together with the alerts of its matches. A match
// that was found by an earlier scan raises nothing again.
func (c *CarveScans) save(ctx context.Context, carve *carves.Carve, scan yara.CarveScan, report yara.Report) error {
	all := make([]found, 0, len(report.Matches))
	for _, m := range report.Matches {
		all = append(all, found{Finding: carveFinding(carve, m)})
	}
	err := c.raiseAlone(ctx, all, func(tx *database.DB) error { return c.YARA.With(tx).SaveScan(ctx, scan) })
	if fault.Is(err, fault.Conflict) {
		return nil // the carve was deleted meanwhile
	}
	return err
}

// carveFinding is a match of a rule in a member of a carve. Its row is what an
// analyst would ask for: the file, its hash, the rule.
func carveFinding(carve *carves.Carve, m yara.MemberMatch) alerts.Finding {
	row := map[string]string{
		"path": m.Member, "size": strconv.FormatInt(m.Size, 10), "sha256": m.SHA256, "carve_guid": carve.GUID,
		"yara_rule": m.Rule, "yara_file": m.File,
	}
	report := map[string]any{
		"carve_id": carve.ID, "session_id": carve.SessionID, "member": m.Member, "rule": m.Rule, "file": m.File,
		"tags": m.Tags, "meta": m.Meta, "strings": pieces(m.Strings),
	}
	return alerts.Finding{
		HostID: carve.HostID, Source: alerts.YARA, Name: m.Rule, Group: "yara:" + m.File + ":" + m.Rule,
		Once:     "yara:" + strconv.FormatInt(carve.ID, 10) + ":" + matchKey(m),
		Severity: severityOf(m.Meta), QueryName: "carves", Action: "carved", UnixTime: carve.EndedAt.Unix(),
		Columns: encoded(row), SourceData: encoded(report), Why: encoded([]why{{Field: "path", Operator: "matches_yara_rule", Value: m.Rule, Actual: m.Member}}),
	}
}

// matchKey stands for a rule in a member. Names of members are of any length.
func matchKey(m yara.MemberMatch) string {
	sum := sha256.Sum256([]byte(m.File + "\x00" + m.Rule + "\x00" + m.SHA256 + "\x00" + m.Member))
	return hex.EncodeToString(sum[:16])
}

func pieces(all []yara.Piece) []map[string]any {
	list := make([]map[string]any, 0, len(all))
	for _, p := range all {
		list = append(list, map[string]any{"name": p.Name, "offset": p.Offset, "data": p.Data})
	}
	return list
}

// severityOf is what a rule says of itself, or WARNING.
func severityOf(meta map[string]any) string {
	text, _ := meta["severity"].(string)
	switch strings.ToUpper(text) {
	case "INFO", "INFORMATIONAL":
		return "INFO"
	case "LOW":
		return "LOW"
	case "CRITICAL":
		return "CRITICAL"
	}
	return "WARNING"
}

// ScanMembers scans the members of a carve, each on its own. It is what the process
// does that yara.ScanApart starts.
func ScanMembers(o yara.Order, rules *yara.Rules, file *os.File, report *yara.Report) error {
	problem, err := carves.Walk(context.Background(), file, carves.Format(o.Format), o.GUID, func(m carves.Member, content io.Reader) error {
		if m.Mode&fs.ModeType != 0 || len(report.Matches) >= yara.MaxMatches {
			return nil
		}
		report.Members++
		return scanMember(rules, m, content, report)
	})
	if problem != "" {
		report.Problem("the archive is damaged: %s", problem)
	}
	if errors.Is(err, carves.ErrTooMuch) {
		report.Problem("the archive unpacks to more than is looked at")
		return nil
	}
	return err
}

func scanMember(rules *yara.Rules, m carves.Member, content io.Reader, report *yara.Report) error {
	sum := sha256.New()
	matches, more, err := rules.Scan(io.TeeReader(content, sum))
	if fault.Is(err, fault.Unprocessable) {
		report.Problem("%s: %s", m.Name, fault.Public(err))
		return nil
	}
	if err != nil {
		report.Problem("%s: %s", m.Name, err)
		return nil
	}
	if more {
		report.Problem("%s: only the first %d MiB were looked at", m.Name, yara.MaxScanned>>20)
	}
	for _, match := range matches[:min(len(matches), yara.MaxMatches-len(report.Matches))] {
		report.Matches = append(report.Matches, yara.MemberMatch{Member: m.Name, Size: m.Size, SHA256: hex.EncodeToString(sum.Sum(nil)), Match: match})
	}
	return nil
}
