package intel

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"muster/server/indicator"
)

// virusTotal speaks the API v3, or v2 where the address ends in /v2, which knows
// hashes only.
type virusTotal struct{}

func (virusTotal) Types() []indicator.Type {
	return []indicator.Type{MD5, SHA1, SHA256, Domain, Address}
}

func (virusTotal) Address() string { return "https://www.virustotal.com/api/v3" }

func (virusTotal) PerMinute() int { return 4 }

func isV2(base string) bool { return strings.HasSuffix(base, "/v2") }

func (virusTotal) AtOnce(base string) (values, requests int) {
	if isV2(base) {
		return 4, 1
	}
	return 1, 1
}

func (v virusTotal) Ask(ctx context.Context, c *caller, of indicator.Type, values []string) ([]Verdict, error) {
	if isV2(c.base) {
		return v.askV2(ctx, c, of, values)
	}
	folder := "/files/"
	switch of {
	case Domain:
		folder = "/domains/"
	case Address:
		folder = "/ip_addresses/"
	}
	verdicts := make([]Verdict, 0, len(values))
	for _, value := range values {
		var answer struct {
			Data *struct {
				Attributes struct {
					Stats      map[string]int                               `json:"last_analysis_stats"`
					Analysis   map[string]struct{ Category, Result string } `json:"last_analysis_results"`
					Name       string                                       `json:"meaningful_name"`
					Reputation int                                          `json:"reputation"`
				} `json:"attributes"`
			} `json:"data"`
		}
		found, err := c.get(ctx, folder+url.PathEscape(value), func(r *http.Request) { r.Header.Set("x-apikey", c.key.Key) }, &answer)
		if err != nil {
			return nil, err
		}
		verdict := Verdict{Type: of, Value: value}
		if found {
			if answer.Data == nil {
				return nil, errNonsense
			}
			total, engines := 0, map[string]string{}
			for _, n := range answer.Data.Attributes.Stats {
				total += n
			}
			for name, e := range answer.Data.Attributes.Analysis {
				if e.Category == "malicious" {
					engines[name] = e.Result
				}
			}
			verdict = v.judge(c, verdict, answer.Data.Attributes.Stats["malicious"], engines, map[string]any{
				"total": total, "name": answer.Data.Attributes.Name, "reputation": answer.Data.Attributes.Reputation,
			})
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts, nil
}

// reportV2 is a report of the API v2.
type reportV2 struct {
	Code      int    `json:"response_code"`
	Resource  string `json:"resource"`
	Positives int    `json:"positives"`
	Total     int    `json:"total"`
	Scanned   string `json:"scan_date"`
	Scans     map[string]struct {
		Detected bool   `json:"detected"`
		Result   string `json:"result"`
	} `json:"scans"`
}

// askV2 asks about several hashes at once; one answer is no list.
func (v virusTotal) askV2(ctx context.Context, c *caller, of indicator.Type, values []string) ([]Verdict, error) {
	var raw json.RawMessage
	found, err := c.post(ctx, "/file/report", url.Values{"apikey": {c.key.Key}, "resource": {strings.Join(values, ",")}}, &raw)
	if err != nil {
		return nil, err
	}
	var reports []reportV2
	if found && json.Unmarshal(raw, &reports) != nil {
		var one reportV2
		if json.Unmarshal(raw, &one) != nil {
			return nil, errNonsense
		}
		reports = []reportV2{one}
	}
	byValue := map[string]reportV2{}
	for _, r := range reports {
		byValue[strings.ToLower(r.Resource)] = r
	}
	if found && len(reports) > 0 && len(byValue) == 0 {
		return nil, errNonsense
	}
	verdicts := make([]Verdict, 0, len(values))
	for _, value := range values {
		verdict := Verdict{Type: of, Value: value}
		if r, there := byValue[value]; there && r.Code == 1 {
			engines := map[string]string{}
			for name, s := range r.Scans {
				if s.Detected {
					engines[name] = s.Result
				}
			}
			verdict = v.judge(c, verdict, r.Positives, engines, map[string]any{"total": r.Total, "scan_date": r.Scanned})
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts, nil
}

// judge detects what enough engines call malicious, or one of those that somebody
// trusts alone (esp-api 4).
func (virusTotal) judge(c *caller, verdict Verdict, positives int, engines map[string]string, parts map[string]any) Verdict {
	trusted := false
	for name := range engines {
		trusted = trusted || c.settings.Engines[name]
	}
	verdict.Detected = positives > 0 && (positives >= c.settings.MinMatches || trusted)
	verdict.Severity = "LOW"
	parts["positives"], parts["engines"] = positives, engines
	verdict.Report = report(parts)
	return verdict
}
