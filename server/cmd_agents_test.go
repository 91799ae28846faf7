package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/agentapi/agenttest"
)

func TestParseShares(t *testing.T) {
	kinds := []agenttest.Platform{agenttest.Linux, agenttest.Darwin, agenttest.Windows}
	for text, want := range map[string]map[agenttest.Platform]int{
		"mix":                            {agenttest.Linux: 1, agenttest.Darwin: 1, agenttest.Windows: 1},
		"linux":                          {agenttest.Linux: 1},
		"linux=6, windows=3":             {agenttest.Linux: 6, agenttest.Windows: 3},
		"linux,darwin":                   {agenttest.Linux: 1, agenttest.Darwin: 1},
		"":                               nil,
		"beos":                           nil,
		"linux=0":                        nil,
		"linux=-1":                       nil,
		"linux=x":                        nil,
		"linux=99999999999999999999999":  nil,
		"linux=6,windows=3,darwin=1,amd": nil,
	} {
		got, err := parseShares(text, kinds)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
}

// secretServer enrols who has the right secret and has nothing to do for anybody.
func secretServer(t *testing.T, secret string, enrolled func()) *httptest.Server {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Secret string `json:"enroll_secret"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		switch {
		case r.URL.Path != "/enroll":
			reply(w, 200, `{}`)
		case body.Secret == secret:
			reply(w, 200, `{"node_key":"k"}`)
			enrolled()
		default:
			reply(w, 401, `{"node_invalid":true}`)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestAgentsCommand(t *testing.T) {
	for sentence, c := range map[string]struct {
		secret string
		status int
		says   string
	}{
		"they enrol with the secret in the data folder": {"right\n", exitOK, ""},
		"a wrong secret is said at the end":             {"wrong\n", exitFailed, "is the secret right?"},
	} {
		t.Run(sentence, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var counting sync.Mutex
			left := 3
			server := secretServer(t, "right", func() {
				counting.Lock()
				defer counting.Unlock()
				if left--; left == 0 {
					cancel()
				}
			})
			if c.status != exitOK {
				time.AfterFunc(500*time.Millisecond, cancel) // Ctrl-C of somebody who sees that nothing happens
			}
			data := t.TempDir()
			write(t, data, "enroll_secret", c.secret)
			s := session{environ: []string{"MUSTER_DATA=" + data, "MUSTER_SERVER=" + server.URL, "MUSTER_CA=" + caFile(t, server)}}
			status := s.run(ctx, "agents", "--count", "3", "--version", "mix")
			if status != c.status || !strings.Contains(s.err.String(), c.says) || !strings.Contains(s.out.String(), "/3 enrolled") {
				t.Errorf("exit %d, want %d\n%s\n%s", status, c.status, s.out.String(), s.err.String())
			}
		})
	}
}

func TestAgentsUsage(t *testing.T) {
	for _, args := range [][]string{{"--count", "0"}, {"--platform", "beos"}, {"--version", "4"}, {"--paths", "x"}, {"--every", "0s"}, {"--attacks", "-1s"}, {"more"}} {
		s := session{environ: []string{"MUSTER_DATA=" + t.TempDir()}}
		if status := s.run(t.Context(), append([]string{"agents"}, args...)...); status != exitUsage {
			t.Errorf("%v: exit %d: %s", args, status, s.err.String())
		}
	}
	s := session{environ: []string{"MUSTER_DATA=" + t.TempDir()}}
	if status := s.run(t.Context(), "agents"); status != exitFailed || !strings.Contains(s.err.String(), "MUSTER_ENROLL_SECRET") {
		t.Errorf("without a secret: exit %d: %s", status, s.err.String())
	}
}
