package outputs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/jobs"
)

// digestLines bounds the lines of a digest; more is counted.
const digestLines = 300

// gather puts a notice into the digest of an alerter, with a job that sends it at a
// time unless one waits already. A notice that comes again is gathered once.
func (a *Alerters) gather(ctx context.Context, id int64, n Notice, at time.Time) error {
	err := a.DB.Tx(ctx, func(tx *database.DB) error {
		var name string
		if err := tx.Read(ctx).Raw("SELECT name FROM alerters WHERE id = ?", id).Scan(&name).Error; err != nil || name == "" {
			return err // deleted meanwhile: nobody wants the digest
		}
		err := tx.Write(ctx).Exec(`INSERT INTO alerter_digests (alerter_id, alert_id, event_id, severity, name, host, seen_at)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			id, n.Alert.ID, n.Event.ID, n.Alert.Severity, n.Alert.Name, n.Host.DisplayName(), database.Micros(seenAt(n))).Error
		if err != nil {
			return err
		}
		return a.Queue.With(tx).Add(ctx, jobs.NewJob{
			Kind: NotifyKind, Args: NotifyArgs{Alerter: name, Digest: true}, Key: "digest:" + strconv.FormatInt(id, 10), RunAt: at,
		})
	})
	if err != nil {
		return database.Fault(err)
	}
	a.Queue.Hint()
	return nil
}

// digestLine is a line of a digest: what was seen on a host.
type digestLine struct {
	Severity, Name, Host string
	Times                int
	Last, AlertID        int64
}

// digest is what was gathered for an alerter so far.
type digest struct {
	upTo   int64 // the last of alerter_digests that is in it
	alerts int
	hosts  int
	lines  []digestLine
}

// sendDigest mails what was gathered and forgets it then. One that cannot be sent
// is tried again with what came in the meantime.
func (a *Alerters) sendDigest(ctx context.Context, row receiverRow) error {
	plain, _ := a.opened(row)
	s, ok := plain.(*emailSettings)
	if !ok {
		return nil
	}
	d, err := a.gathered(ctx, row.ID)
	if err != nil || d.alerts == 0 {
		return err
	}
	title := counted(d.alerts, "alert") + " on " + counted(d.hosts, "host")
	if err := a.Mail.Send(ctx, Message{To: s.Recipients, Subject: subjectPrefix + title, Text: a.digestText(title, d)}); err != nil {
		return err
	}
	err = a.DB.Write(ctx).Exec("DELETE FROM alerter_digests WHERE alerter_id = ? AND id <= ?", row.ID, d.upTo).Error
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The digest was sent and cannot be forgotten: it will come again")
	}
	return nil
}

func (a *Alerters) gathered(ctx context.Context, id int64) (d digest, err error) {
	err = a.DB.View(ctx, func(view *database.DB) error {
		const from = " FROM alerter_digests WHERE alerter_id = ?"
		row := view.Read(ctx).Raw("SELECT coalesce(max(id), 0), count(*), count(DISTINCT host)"+from, id).Row()
		if err := row.Scan(&d.upTo, &d.alerts, &d.hosts); err != nil {
			return err
		}
		return view.Read(ctx).Raw(`SELECT severity, name, host, count(*) AS times, max(seen_at) AS last, max(alert_id) AS alert_id`+from+`
			GROUP BY severity, name, host
			ORDER BY CASE severity WHEN 'CRITICAL' THEN 0 WHEN 'WARNING' THEN 1 WHEN 'LOW' THEN 2 ELSE 3 END, host, name LIMIT ?`,
			id, digestLines).Scan(&d.lines).Error
	})
	return d, database.Fault(err)
}

// mostGathered is how many notices wait for digests: where no mail can be sent for
// months, the oldest are given up. They are alerts all the same.
const mostGathered = 100_000

// PurgeDigests gives up what waits for digests beyond a bound, the oldest first.
// Faults: those of the database.
func (a *Alerters) PurgeDigests(ctx context.Context) error {
	return a.purgeDigests(ctx, mostGathered)
}

func (a *Alerters) purgeDigests(ctx context.Context, most int) error {
	done := a.DB.Write(ctx).Exec("DELETE FROM alerter_digests WHERE id <= (SELECT max(id) FROM alerter_digests) - CAST(? AS bigint)", most)
	if done.RowsAffected > 0 {
		a.Log.Warn("digests cannot be sent: the oldest of what waits for them is given up", "notices", done.RowsAffected)
	}
	return database.Fault(done.Error)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// digestText is a digest, the worst first.
func (a *Alerters) digestText(title string, d digest) string {
	var b strings.Builder
	b.WriteString(title + "\n\n")
	told := 0
	for _, l := range d.lines {
		told += l.Times
		fmt.Fprintf(&b, "%-8s %s on %s: ", l.Severity, oneLine(l.Name, maxSubject), oneLine(l.Host, maxSubject))
		if l.Times > 1 {
			fmt.Fprintf(&b, "%d times, the last ", l.Times)
		}
		b.WriteString(stamp(database.FromMicros(l.Last)))
		if a.ConsoleURL != "" {
			b.WriteString("\n         " + a.ConsoleURL + "/alerts/" + strconv.FormatInt(l.AlertID, 10))
		}
		b.WriteString("\n")
	}
	if told < d.alerts {
		fmt.Fprintf(&b, "\nand %s more\n", counted(d.alerts-told, "alert"))
	}
	return b.String()
}
