package adminapi

import (
	"context"
	"maps"
	"slices"

	"muster/server/intel"
)

func (a *api) intelRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/management/apikeys", in, handle(a, a.viewKeys), "View the keys of threat intelligence services, masked"},
		{"POST", "/management/apikeys", in, act(a, a.setKeys), "Change the keys of threat intelligence services"},
		{"GET", "/management/intel", in, handle(a, a.viewServices), "View how threat intelligence services are used and how they do"},
		{"POST", "/management/intel", in, act(a, a.setService), "Change how a threat intelligence service is used"},
		{"GET", "/management/virustotal/av_engine", in, handle(a, a.viewEngines), "View which of VirusTotal's engines count"},
		{"POST", "/management/virustotal/av_engine", in, act(a, a.setEngines), "Change which of VirusTotal's engines count"},
	}
}

// keysView has the services that have a key (document, "View Threat Intel Keys").
// Keys are masked.
type keysView struct {
	IBMXForce  *pairView `json:"ibmxforce,omitempty"`
	VirusTotal *keyView  `json:"virustotal,omitempty"`
	AlienVault *keyView  `json:"alienvault,omitempty"`
}

type pairView struct {
	Key  string `json:"key"`
	Pass string `json:"pass"`
}

type keyView struct {
	Key string `json:"key"`
}

func viewKeys(keys map[intel.Provider]intel.Key) keysView {
	var view keysView
	if k, found := keys[intel.IBMXForce]; found {
		view.IBMXForce = &pairView{k.Key, k.Pass}
	}
	if k, found := keys[intel.VirusTotal]; found {
		view.VirusTotal = &keyView{k.Key}
	}
	if k, found := keys[intel.AlienVault]; found {
		view.AlienVault = &keyView{k.Key}
	}
	return view
}

func (a *api) viewKeys(ctx context.Context, _ nothing) (answer[keysView], error) {
	keys, err := a.Intel.Keys(ctx)
	if err != nil {
		return answer[keysView]{}, err
	}
	return answer[keysView]{"Threat Intel keys are fetched successfully", viewKeys(keys)}, nil
}

// setKeysRequest: what is empty, null or as it was shown changes nothing.
type setKeysRequest struct {
	VirusTotal string   `arg:"vt_key,body"`
	IBMKey     string   `arg:"IBMxForceKey,body"`
	IBMPass    string   `arg:"IBMxForcePass,body"`
	AlienVault string   `arg:"otx_key,body"`
	Remove     []string `arg:"remove"` // ours: services to forget
}

// keysAnswer has errors, which clients read, and which is empty: nobody outside
// is asked here whether a key is good.
type keysAnswer struct {
	said
	Data   keysView          `json:"data"`
	Errors map[string]string `json:"errors"`
}

func (a *api) setKeys(ctx context.Context, r setKeysRequest) (keysAnswer, error) {
	change := intel.Change{Set: map[intel.Provider]intel.Key{
		intel.VirusTotal: {Key: r.VirusTotal},
		intel.IBMXForce:  {Key: r.IBMKey, Pass: r.IBMPass},
		intel.AlienVault: {Key: r.AlienVault},
	}}
	for _, name := range r.Remove {
		change.Remove = append(change.Remove, intel.Provider(name))
	}
	before, after, err := a.Intel.SetKeys(ctx, change)
	if err != nil {
		return keysAnswer{}, err
	}
	a.record(ctx, "apikeys.set", "", map[string]any{
		"before": slices.Sorted(maps.Keys(before)), "after": slices.Sorted(maps.Keys(after)), "given": givenKeys(change),
	})
	return keysAnswer{succeeded("Threat Intel keys are updated successfully"), viewKeys(after), map[string]string{}}, nil
}

// givenKeys are the services that a change has a key for.
func givenKeys(change intel.Change) []intel.Provider {
	names := []intel.Provider{}
	for _, p := range intel.Providers() {
		if change.Set[p].Key != "" {
			names = append(names, p)
		}
	}
	return names
}
