package agenttest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAFleetOf200(t *testing.T) {
	server := newReference(t)
	server.always("/config", answer{body: lifeConfig})
	server.on("/distributed/read", func(request) answer { return answer{body: `{"queries":{"a":"select * from users"}}`} })
	fleet, err := NewFleet(FleetOptions{
		Options: Options{
			Server: server.URL, RootCAs: server.roots(), Seed: 1000, Deadline: time.Minute,
			Intervals: Intervals{Distributed: time.Hour, Log: 5 * time.Second, Schedule: 5 * time.Second},
		},
		Count: 200, Versions: map[Version]int{Version523: 3, Version59: 1}, Ramp: 200 * time.Millisecond,
	})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- fleet.Run(ctx) }()
	waitFor(t, func() bool {
		s := fleet.Stats()
		return s.Enrolled == 200 && s.Answers >= 200 && s.LinesAccepted >= 200
	})
	stop()
	must(t, <-ended)
	s := fleet.Stats()
	t.Log(s)
	wantEqual(t, "agents", s.Started, 200)
	wantEqual(t, "different keys", s.Enrolls, 200)
	wantEqual(t, "wiped", s.ConfigWiped, 0)
	wantEqual(t, "undefined answers", s.Undefined, 0)
	if read := s.Endpoints["distributed_read"]; read.Requests < 200 || read.P50 == 0 || read.P99 < read.P50 {
		t.Errorf("reads: %+v", read)
	}
	wantContains(t, s.String(), "200/200 enrolled")
	identities := map[string]bool{}
	for _, a := range fleet.Agents() {
		identities[a.HostIdentifier()+a.Hostname()] = true
	}
	wantEqual(t, "identities", len(identities), 200)
}

func TestSharesAreDealtEvenly(t *testing.T) {
	got := deal(map[Platform]int{Linux: 6, Windows: 3, Darwin: 1})
	count := map[Platform]int{}
	for _, p := range got {
		count[p]++
	}
	wantEqual(t, "Linux", count[Linux], 6)
	wantEqual(t, "Windows", count[Windows], 3)
	wantEqual(t, "macOS", count[Darwin], 1)
	wantEqual(t, "the first", got[0], Linux)
	if slices.Equal(got[:3], []Platform{Linux, Linux, Linux}) {
		t.Error("kinds come in blocks")
	}
}

func TestOptionsThatMakeNoAgent(t *testing.T) {
	for _, server := range []string{"", "http://host", "https://", "host:8443", "://"} {
		if _, err := New(Options{Server: server}); err == nil || !strings.Contains(err.Error(), "https") {
			t.Errorf("%q: %v", server, err)
		}
	}
	if _, err := NewFleet(FleetOptions{}); err == nil {
		t.Error("a fleet of none")
	}
	if _, err := NewFleet(FleetOptions{Count: 1}); err == nil {
		t.Error("a fleet without a server")
	}
}
