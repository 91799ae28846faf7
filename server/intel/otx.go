package intel

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"

	"muster/server/indicator"
)

// otx is AlienVault's Open Threat Exchange.
type otx struct{}

func (otx) Types() []indicator.Type { return []indicator.Type{MD5, SHA1, SHA256, Domain, Address} }

func (otx) Address() string { return "https://otx.alienvault.com/api/v1" }

func (otx) PerMinute() int { return 60 }

func (otx) AtOnce(string) (values, requests int) { return 1, 2 }

func (o otx) Ask(ctx context.Context, c *caller, of indicator.Type, values []string) ([]Verdict, error) {
	verdicts := make([]Verdict, 0, len(values))
	for _, value := range values {
		verdict, err := o.ask(ctx, c, of, value)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts, nil
}

const maxPulses = 20 // whose names are kept

// ask detects what stands in a pulse, and files that one of OTX's own scanners names.
func (otx) ask(ctx context.Context, c *caller, of indicator.Type, value string) (Verdict, error) {
	path := "/indicators/file/"
	switch of {
	case Domain:
		path = "/indicators/domain/"
	case Address:
		path = "/indicators/IPv6/"
		if address, err := netip.ParseAddr(value); err == nil && address.Is4() {
			path = "/indicators/IPv4/"
		}
	}
	path += url.PathEscape(value)
	sign := func(r *http.Request) { r.Header.Set("X-OTX-API-KEY", c.key.Key) }
	verdict := Verdict{Type: of, Value: value, Severity: "LOW"}
	var general struct {
		Pulses *struct {
			Count  int                     `json:"count"`
			Pulses []struct{ Name string } `json:"pulses"`
		} `json:"pulse_info"`
	}
	found, err := c.get(ctx, path+"/general", sign, &general)
	if err != nil || !found {
		return verdict, err
	}
	if general.Pulses == nil {
		return verdict, errNonsense
	}
	names, scanners := []string{}, map[string]string{}
	for _, p := range general.Pulses.Pulses[:min(len(general.Pulses.Pulses), maxPulses)] {
		names = append(names, cutText(p.Name, maxThreat))
	}
	if of != Domain && of != Address {
		var deep struct {
			Analysis struct {
				Plugins map[string]struct {
					Results struct{ Detection any }
				} `json:"plugins"`
			} `json:"analysis"`
		}
		if _, err := c.get(ctx, path+"/analysis", sign, &deep); err != nil {
			return verdict, err
		}
		for name, p := range deep.Analysis.Plugins {
			if text, named := p.Results.Detection.(string); named && text != "" {
				scanners[name] = text
			}
		}
	}
	verdict.Detected = general.Pulses.Count > 0 || len(scanners) > 0
	verdict.Report = report(map[string]any{"pulse_count": general.Pulses.Count, "pulses": names, "scanners": scanners})
	return verdict, nil
}
