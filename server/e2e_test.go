package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/agentapi/agenttest"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// One way through everything, as a newcomer goes it: agents of every version
// enrol, are configured, log, answer a live query and hand over a file.
func TestTheWayThrough(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			p := newProcess(t, dbtest.URL(t, engine))
			fleet := startFleet(t, p, 12)
			token := signIn(t, p)
			checkHosts(t, p, token)
			checkQueryCommand(t, p)
			checkLogs(t, p, token)
			checkCarve(t, p, token)
			if stats := fleet.Stats(); stats.ConfigWiped > 0 {
				t.Errorf("%d configs were wiped", stats.ConfigWiped)
			}
			if err := p.stop(); err != nil {
				t.Errorf("the server did not stop cleanly: %v", err)
			}
		})
	}
}

// Agents talk to one replica while an analyst asks through another: all that the
// two share is the database.
func TestReplicas(t *testing.T) {
	url := dbtest.URL(t, database.Postgres)
	asked, served := newProcess(t, url), newProcess(t, url)
	startFleet(t, served, 6)
	eventually(t, time.Minute, "the hosts are known to the other replica", func() bool {
		return listHosts(t, asked, signIn(t, asked)).Data.Count == 6
	})
	query := session{environ: []string{"MUSTER_DATA=" + asked.dir, "MUSTER_DATABASE_URL=" + url, "MUSTER_SERVER=" + asked.url()}}
	start := time.Now()
	if status := query.run(t.Context(), "query", "--format", "csv", "select pid, name from processes limit 1"); status != exitOK {
		t.Fatalf("query exits with %d: %s", status, query.err.String())
	}
	if !strings.Contains(query.err.String(), "answered 6 of 6, 0 errors") {
		t.Errorf("the query ends with %s", query.err.String())
	}
	t.Logf("six answers through the other replica in %s", time.Since(start).Round(time.Millisecond))
	for _, p := range []*process{asked, served} {
		if err := p.stop(); err != nil {
			t.Errorf("a replica did not stop cleanly: %v", err)
		}
	}
}

func startFleet(t *testing.T, p *process, count int) *agenttest.Fleet {
	t.Helper()
	return startFleetAt(t, p, count, agenttest.Intervals{
		Config: time.Second, Log: 200 * time.Millisecond, Distributed: 200 * time.Millisecond,
		Carve: 500 * time.Millisecond, Schedule: time.Second,
	})
}

// startFleetAt starts agents that poll at a pace.
func startFleetAt(t *testing.T, p *process, count int, pace agenttest.Intervals) *agenttest.Fleet {
	t.Helper()
	versions := map[agenttest.Version]int{}
	for _, version := range agenttest.Versions() {
		versions[version] = 1
	}
	fleet, err := agenttest.NewFleet(agenttest.FleetOptions{
		Count: count, Versions: versions,
		Options: agenttest.Options{
			Server: p.url(), RootCAs: p.roots, Secret: testSecret, Seed: 1, Intervals: pace,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = fleet.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	eventually(t, time.Minute, "everyone enrolled", func() bool { return fleet.Stats().Enrolled == count })
	return fleet
}

func signIn(t *testing.T, p *process) string {
	t.Helper()
	status, answer := p.post("/services/api/v1/login", "", fmt.Sprintf(`{"username":"admin","password":%q}`, testPassword))
	var got map[string]string
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK || got["token"] == "" || got["token"] != got["x-access-token"] {
		t.Fatalf("login answered %d %s", status, answer)
	}
	return got["token"]
}

// hostList is the answer of POST /hosts, as far as the tests look.
type hostList struct {
	Data struct {
		Count   int
		Results []struct {
			ID             int64  `json:"id"`
			HostIdentifier string `json:"host_identifier"`
			IsActive       bool   `json:"is_active"`
			OSInfo         struct{ Name string }
			Tags           []string
		}
	}
}

func listHosts(t *testing.T, p *process, token string) hostList {
	t.Helper()
	status, answer := p.post("/services/api/v1/hosts", token, `{}`)
	var list hostList
	if err := json.Unmarshal([]byte(strings.ReplaceAll(answer, `"os_info"`, `"OSInfo"`)), &list); err != nil || status != http.StatusOK {
		t.Fatalf("hosts answered %d %s", status, answer)
	}
	return list
}

func checkHosts(t *testing.T, p *process, token string) {
	t.Helper()
	list := listHosts(t, p, token)
	if list.Data.Count != 12 || len(list.Data.Results) != 12 {
		t.Fatalf("%d hosts are listed", list.Data.Count)
	}
	for _, host := range list.Data.Results {
		if !host.IsActive || host.OSInfo.Name == "" || len(host.Tags) != len(secretTags) {
			t.Errorf("a host is listed as %+v", host)
		}
	}
}

func checkQueryCommand(t *testing.T, p *process) {
	t.Helper()
	query := session{environ: []string{"MUSTER_DATA=" + p.dir, "MUSTER_DATABASE_URL=" + p.dbURL, "MUSTER_SERVER=" + p.url()}}
	if status := query.run(t.Context(), "query", "--format", "csv", "select uid, username from users where uid = 0 or username = 'SYSTEM'"); status != exitOK {
		t.Fatalf("query exits with %d: %s", status, query.err.String())
	}
	rows, err := csv.NewReader(&query.out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	answered := map[string]bool{}
	for _, row := range rows[1:] {
		answered[row[0]] = true
	}
	if len(answered) != 12 || !strings.Contains(query.err.String(), "answered 12 of 12, 0 errors") {
		t.Errorf("%d hosts answered: %s", len(answered), query.err.String())
	}
	bad := session{environ: query.environ}
	if status := bad.run(t.Context(), "query", "select * from userss"); status != exitFailed || !strings.Contains(bad.err.String(), "did you mean users") {
		t.Errorf("a wrong query exits with %d: %s", status, bad.err.String())
	}
}

func checkLogs(t *testing.T, p *process, token string) {
	t.Helper()
	host := listHosts(t, p, token).Data.Results[0]
	var counts struct {
		Data []struct {
			Name  string
			Count int
		}
	}
	eventually(t, time.Minute, "rows of packs are counted", func() bool {
		_, answer := p.post("/services/api/v1/hosts/recent_activity/count", token, fmt.Sprintf(`{"host_identifier":%q}`, host.HostIdentifier))
		return json.Unmarshal([]byte(answer), &counts) == nil && strings.Contains(answer, "pack/inventory/") && strings.Contains(answer, "pack/health/")
	})
	_, answer := p.post("/services/api/v1/hosts/recent_activity", token,
		fmt.Sprintf(`{"host_identifier":%q,"query_name":%q,"start":0,"limit":2}`, host.HostIdentifier, counts.Data[0].Name))
	if !strings.Contains(answer, `"columns":{`) {
		t.Errorf("recent activity answers %s", answer)
	}
}

func checkCarve(t *testing.T, p *process, token string) {
	t.Helper()
	host := listHosts(t, p, token).Data.Results[0]
	status, answer := p.post("/services/api/v1/distributed/add", token,
		fmt.Sprintf(`{"query":"select * from carves where carve = 1 and path = '/etc/hosts'","nodes":%q}`, host.HostIdentifier))
	if status != http.StatusOK {
		t.Fatalf("distributed/add answered %d %s", status, answer)
	}
	var list struct {
		Data struct {
			Results []struct {
				SessionID string `json:"session_id"`
				Status    string
				CarveSize int64 `json:"carve_size"`
				QueryID   int64 `json:"query_id"`
			}
		}
	}
	eventually(t, time.Minute, "the carve is complete", func() bool {
		_, answer := p.post("/services/api/v1/carves", token, fmt.Sprintf(`{"host_identifier":%q}`, host.HostIdentifier))
		return json.Unmarshal([]byte(answer), &list) == nil && len(list.Data.Results) == 1 && list.Data.Results[0].Status == "COMPLETED"
	})
	if id := list.Data.Results[0].QueryID; !strings.Contains(answer, fmt.Sprintf(`"query_id":%d`, id)) {
		t.Errorf("the carve belongs to query %d, not to %s", id, answer)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url()+"/services/api/v1/carves/download/"+list.Data.Results[0].SessionID, nil)
	request.Header.Set("x-access-token", token)
	response, err := p.client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || response.ContentLength != list.Data.Results[0].CarveSize {
		t.Errorf("the download answers %s with %d bytes, want %d", response.Status, response.ContentLength, list.Data.Results[0].CarveSize)
	}
}

func TestListeners(t *testing.T) {
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		return l.Addr().String()
	}
	agents, metrics := free(), free()
	p := newProcess(t, dbtest.URL(t, database.SQLite), "MUSTER_AGENT_LISTEN="+agents, "MUSTER_METRICS_LISTEN="+metrics)
	tests := []struct {
		name, method, url string
		status            int
		want              string
	}{
		{"the start page", "GET", p.url() + "/", 200, "Muster"},
		{"health", "GET", p.url() + "/healthz", 200, "ok"},
		{"readiness", "GET", p.url() + "/readyz", 200, "ready"},
		{"metrics are for those who signed in", "GET", p.url() + "/metrics", 401, ""},
		{"metrics on their own listener", "GET", "http://" + metrics + "/metrics", 200, "muster_hosts{"},
		{"the API needs a token", "POST", p.url() + "/services/api/v1/hosts", 401, `"status":"failure"`},
		{"no agents on the first listener, and no success in the answer", "POST", p.url() + "/log", 404, "not"},
		{"agents on the second", "POST", "https://" + agents + "/log", 400, `"error"`},
		{"no API on the second", "POST", "https://" + agents + "/services/api/v1/login", 404, "not found"},
		{"the certificate", "GET", p.url() + "/downloads/certificate.crt", 200, "BEGIN CERTIFICATE"},
		{"the certificate where agents go", "GET", "https://" + agents + "/downloads/certificate.crt", 200, "BEGIN CERTIFICATE"},
		{"a path that is not clean is no redirect", "POST", "https://" + agents + "//log", 404, "not found"},
		{"nothing else to download", "GET", p.url() + "/downloads/../enroll_secret", 404, ""},
		{"no secret to download", "GET", p.url() + "/downloads/secret.txt", 404, ""},
	}
	_, _ = p.post("/services/api/v1/login", "", `{}`)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), test.method, test.url, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := p.client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			var answer strings.Builder
			buffer := make([]byte, 64<<10)
			for {
				n, err := response.Body.Read(buffer)
				answer.Write(buffer[:n])
				if err != nil {
					break
				}
			}
			if response.StatusCode != test.status || !strings.Contains(answer.String(), test.want) || answer.Len() == 0 {
				t.Errorf("answered %s %.300s", response.Status, answer.String())
			}
		})
	}
}
