package intel

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"muster/server/indicator"
)

// xForce is IBM X-Force Exchange.
type xForce struct{}

func (xForce) Types() []indicator.Type {
	return []indicator.Type{MD5, SHA1, SHA256, Domain, Address, URL}
}

func (xForce) Address() string { return "https://api.xforce.ibmcloud.com:443" }

func (xForce) PerMinute() int { return 30 }

func (xForce) AtOnce(string) (values, requests int) { return 1, 1 }

func (x xForce) Ask(ctx context.Context, c *caller, of indicator.Type, values []string) ([]Verdict, error) {
	verdicts := make([]Verdict, 0, len(values))
	for _, value := range values {
		verdict, err := x.ask(ctx, c, of, value)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts, nil
}

func (x xForce) ask(ctx context.Context, c *caller, of indicator.Type, value string) (Verdict, error) {
	var answer struct {
		Malware *struct {
			Risk   string          `json:"risk"`
			Family json.RawMessage `json:"family"`
			Type   string          `json:"mimetype"`
		} `json:"malware"`
		Score  *float64 `json:"score"` // of an address
		Result *struct {
			Score *float64        `json:"score"`
			Cats  json.RawMessage `json:"cats"`
		} `json:"result"` // of a name or a URL
		Cats json.RawMessage `json:"cats"`
	}
	folder := "/malware/"
	switch of {
	case Address:
		folder = "/ipr/"
	case Domain, URL:
		folder = "/url/"
	}
	sign := func(r *http.Request) { r.SetBasicAuth(c.key.Key, c.key.Pass) }
	verdict := Verdict{Type: of, Value: value}
	found, err := c.get(ctx, folder+url.PathEscape(value), sign, &answer)
	if err != nil || !found {
		return verdict, err
	}
	risk, parts := "", map[string]any{}
	switch {
	case answer.Malware != nil:
		risk = strings.ToLower(answer.Malware.Risk)
		parts["family"], parts["mimetype"] = answer.Malware.Family, answer.Malware.Type
	case answer.Result != nil && answer.Result.Score != nil:
		risk, parts["score"], parts["cats"] = riskOf(*answer.Result.Score), *answer.Result.Score, answer.Result.Cats
	case answer.Result != nil:
		risk = "unknown" // it has no score as yet
	case answer.Score != nil:
		risk, parts["score"], parts["cats"] = riskOf(*answer.Score), *answer.Score, answer.Cats
	default:
		return verdict, errNonsense
	}
	verdict.Severity = map[string]string{"high": "CRITICAL", "medium": "WARNING"}[risk]
	verdict.Detected = verdict.Severity != ""
	parts["risk"] = risk
	verdict.Report = report(parts)
	return verdict, nil
}

// riskOf is X-Force's scale of addresses and URLs, from 0 to 10, in the words of its
// scale of malware.
func riskOf(score float64) string {
	switch {
	case score >= 7:
		return "high"
	case score >= 4:
		return "medium"
	}
	return "low"
}
