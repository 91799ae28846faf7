package outputs

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"muster/server/fault"
)

// slackSettings are of an alerter that posts to an incoming webhook of Slack, or of
// what speaks the same, such as Mattermost.
type slackSettings struct {
	URL     string `json:"url"`     // of the webhook; a secret from its path on
	Columns bool   `json:"columns"` // show the row as well
}

func (s *slackSettings) check() error      { return checkURL("url", s.URL) }
func (s *slackSettings) secrets() []secret { return []secret{{"url", &s.URL, shownURL}} }
func (s *slackSettings) receiver() string  { return s.URL }

func (s *slackSettings) alerter(t tools) Alerter {
	return &slackAlerter{s, newPoster(nil, t.now)}
}

type slackAlerter struct {
	settings *slackSettings
	poster   *poster
}

// slackMessage is what Slack's incoming webhooks take.
type slackMessage struct {
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Color     string       `json:"color"`
	Fallback  string       `json:"fallback"`
	Title     string       `json:"title"`
	TitleLink string       `json:"title_link,omitempty"`
	Text      string       `json:"text,omitempty"`
	Fields    []slackField `json:"fields"`
	Footer    string       `json:"footer"`
	At        int64        `json:"ts"`
}

type slackField struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short"`
}

// slackColumns and slackValue bound what is shown of a row; Slack has bounds too.
const (
	slackColumns = 20
	slackValue   = 500
)

var slackColors = map[string]string{"CRITICAL": "#c0392b", "WARNING": "#e67e22", "LOW": "#f1c40f", "INFO": "#3498db"}

// Notify posts a message with one attachment.
func (s *slackAlerter) Notify(ctx context.Context, n Notice) error {
	summary := slackText(summaryOf(n))
	attachment := slackAttachment{
		Color: slackColors[n.Alert.Severity], Fallback: summary, Title: summary, TitleLink: n.Link, Text: slackText(cut(n.RuleDescription, slackValue)),
		Fields: []slackField{
			{"Host", slackText(hostLine(n.Host)), true}, {"Severity", n.Alert.Severity, true},
			{"Query", slackText(queryLine(n)), true}, {"Seen", stamp(seenAt(n)), true},
		},
		Footer: "Muster", At: seenAt(n).Unix(),
	}
	if why := reasons(n.Event.Why); len(why) > 0 {
		attachment.Fields = append(attachment.Fields, slackField{"Why it matched", slackText(cut(strings.Join(why, "\n"), 2*slackValue)), false})
	}
	if s.settings.Columns {
		for _, c := range columnsOf(n.Event.Columns, slackColumns, slackValue) {
			attachment.Fields = append(attachment.Fields, slackField{slackText(c.name), slackText(c.value), len(c.value) < 40})
		}
	}
	body, err := json.Marshal(slackMessage{summary, []slackAttachment{attachment}})
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The message cannot be written")
	}
	return s.poster.send(ctx, post{url: s.settings.URL, body: body})
}

func (s *slackAlerter) close() { s.poster.close() }

// slackText keeps text from becoming a link or a call to everybody.
func slackText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// seenAt is when it happened on the host, or else when we noticed.
func seenAt(n Notice) time.Time {
	for _, at := range []time.Time{n.Event.Time, n.Alert.Time, n.Event.Created} {
		if !at.IsZero() {
			return at
		}
	}
	return n.Alert.Created
}
