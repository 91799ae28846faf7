package adminapi

import (
	"context"
	"strings"
	"time"

	"muster/server/fault"
	"muster/server/intel"
)

// serviceView is how a reputation service is used, and how it does.
type serviceView struct {
	Service       string  `json:"service"`
	Enabled       bool    `json:"enabled"`
	HasKey        bool    `json:"has_key"`
	Address       string  `json:"address"`
	PerMinute     int     `json:"per_minute"`
	Endpoints     bool    `json:"endpoints"`
	DetectedHours int     `json:"detected_hours"`
	CleanHours    int     `json:"clean_hours"`
	Waiting       int     `json:"waiting"`
	LastSuccess   *string `json:"last_success"`
	LastError     *string `json:"last_error"`
	LastErrorAt   *string `json:"last_error_at"`
	Failures      int     `json:"failures"` // since the last success
	Next          *string `json:"next"`     // it is not asked before
}

func (a *api) viewServices(ctx context.Context, _ nothing) (answer[[]serviceView], error) {
	settings, err := a.Intel.Settings(ctx)
	if err != nil {
		return answer[[]serviceView]{}, err
	}
	keys, err := a.Intel.Keys(ctx)
	if err != nil {
		return answer[[]serviceView]{}, err
	}
	views := []serviceView{}
	for _, p := range intel.Providers() {
		state, waiting, err := a.Intel.State(ctx, p)
		if err != nil {
			return answer[[]serviceView]{}, err
		}
		_, hasKey := keys[p]
		o := settings[p]
		views = append(views, serviceView{
			Service: string(p), Enabled: !o.Off, HasKey: hasKey, Address: o.Address, PerMinute: o.PerMinute, Endpoints: o.Endpoints,
			DetectedHours: int(o.FoundFor / time.Hour), CleanHours: int(o.CleanFor / time.Hour), Waiting: waiting,
			LastSuccess: iso(state.LastSuccess), LastError: orNull(state.LastError), LastErrorAt: iso(state.LastErrorAt), Failures: state.Failures, Next: iso(state.Next),
		})
	}
	return answer[[]serviceView]{"Successfully fetched the services", views}, nil
}

type setServiceRequest struct {
	Service       string  `arg:"service,required,choices=ibmxforce|virustotal|alienvault"`
	Enabled       *bool   `arg:"enabled"`
	Address       *string `arg:"address"`
	PerMinute     *int    `arg:"per_minute,min=0,max=6000"` // 0: the usual
	Endpoints     *bool   `arg:"endpoints"`
	DetectedHours *int    `arg:"detected_hours,min=1,max=8760"`
	CleanHours    *int    `arg:"clean_hours,min=1,max=8760"`
}

// Check refuses what would change nothing, such as a misspelt name.
func (r *setServiceRequest) Check() error {
	if r.Enabled == nil && r.Address == nil && r.PerMinute == nil && r.Endpoints == nil && r.DetectedHours == nil && r.CleanHours == nil {
		return fault.New(fault.Invalid, "Nothing is changed: send enabled, address, per_minute, endpoints, detected_hours or clean_hours")
	}
	return nil
}

func (a *api) setService(ctx context.Context, r setServiceRequest) (answer[none], error) {
	p := intel.Provider(r.Service)
	err := a.changeService(ctx, p, func(o *intel.ServiceSettings) {
		if r.Enabled != nil {
			o.Off = !*r.Enabled
		}
		if r.Address != nil {
			o.Address = *r.Address
		}
		if r.PerMinute != nil {
			o.PerMinute = *r.PerMinute
		}
		if r.Endpoints != nil {
			o.Endpoints = *r.Endpoints
		}
		if r.DetectedHours != nil {
			o.FoundFor = time.Duration(*r.DetectedHours) * time.Hour
		}
		if r.CleanHours != nil {
			o.CleanFor = time.Duration(*r.CleanHours) * time.Hour
		}
	})
	return answer[none]{message: "Successfully updated the service"}, err
}

// changeService changes and records how a service is used.
func (a *api) changeService(ctx context.Context, p intel.Provider, change func(*intel.ServiceSettings)) error {
	before, err := a.Intel.Settings(ctx)
	if err != nil {
		return err
	}
	if err := a.Intel.SetSettings(ctx, p, change); err != nil {
		return err
	}
	after, err := a.Intel.Settings(ctx)
	if err != nil {
		return err
	}
	a.record(ctx, "intel.set", string(p), map[string]any{"before": serviceDetail(before[p]), "after": serviceDetail(after[p])})
	return nil
}

func serviceDetail(o intel.ServiceSettings) map[string]any {
	return map[string]any{
		"enabled": !o.Off, "address": o.Address, "per_minute": o.PerMinute, "endpoints": o.Endpoints, "detected_hours": int(o.FoundFor / time.Hour),
		"clean_hours": int(o.CleanFor / time.Hour), "min_match_count": o.MinMatches, "engines": o.Engines,
	}
}

// enginesView is whose word of VirusTotal's engines counts (esp-api 1.1): with so many
// of them, or any that is on, a file is bad.
type enginesView struct {
	MinMatchCount int                   `json:"min_match_count"`
	Engines       map[string]engineView `json:"av_engines"`
}

type engineView struct {
	Status bool `json:"status"`
}

func (a *api) viewEngines(ctx context.Context, _ nothing) (answer[enginesView], error) {
	settings, err := a.Intel.Settings(ctx)
	if err != nil {
		return answer[enginesView]{}, err
	}
	o := settings[intel.VirusTotal]
	view := enginesView{MinMatchCount: o.MinMatches, Engines: map[string]engineView{}}
	for name, on := range o.Engines {
		view.Engines[name] = engineView{on}
	}
	return answer[enginesView]{"virus total av engines are fetched successfully", view}, nil
}

type setEnginesRequest struct {
	MinMatchCount *int           `arg:"min_match_count"`
	Engines       map[string]any `arg:"av_engines"`
}

// setEngines changes those that are named, and leaves the others.
func (a *api) setEngines(ctx context.Context, r setEnginesRequest) (answer[none], error) {
	if r.MinMatchCount == nil && len(r.Engines) == 0 {
		return answer[none]{}, fault.New(fault.Invalid, "Please provide valid payload")
	}
	if r.MinMatchCount != nil && *r.MinMatchCount <= 0 {
		return answer[none]{}, fault.New(fault.Invalid, "Please provide minimum_count greater than 0")
	}
	engines := map[string]bool{}
	for name, raw := range r.Engines {
		entry, _ := raw.(map[string]any)
		status, ok := entry["status"].(bool)
		if !ok {
			return answer[none]{}, fault.Fields(map[string]string{"av_engines": "Each engine needs a status, true or false"})
		}
		engines[strings.TrimSpace(name)] = status
	}
	err := a.changeService(ctx, intel.VirusTotal, func(o *intel.ServiceSettings) {
		if r.MinMatchCount != nil {
			o.MinMatches = *r.MinMatchCount
		}
		merged := map[string]bool{}
		for name, on := range o.Engines {
			merged[name] = on
		}
		for name, on := range engines {
			merged[name] = on
		}
		o.Engines = merged
	})
	return answer[none]{message: "successfully updated av engines"}, err
}
