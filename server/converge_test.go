package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"muster/agentapi/agenttest"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// fleetSize is how many agents follow the changes.
const fleetSize = 50

// A fleet of agents runs while packs, tags, queries, options and configs change:
// one poll later each agent has exactly the config that the server says it should
// have, and none was ever given an empty or broken one. On PostgreSQL the changes
// are made through another replica than the agents talk to.
func TestEveryChangeReachesEveryAgent(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			url := dbtest.URL(t, engine)
			served := newProcess(t, url)
			c := &convergence{T: t, served: served, asked: served}
			if engine == database.Postgres {
				c.asked = newProcess(t, url)
			}
			// Their own pace is slow: the test polls for them, and what else they do must leave room.
			c.fleet = startFleetAt(t, served, fleetSize, agenttest.Intervals{
				Config: 5 * time.Second, Log: 2 * time.Second, Distributed: 5 * time.Second, Carve: 10 * time.Second, Schedule: 5 * time.Second,
			})
			c.token = signIn(t, c.asked)
			c.know()
			c.walk()
			c.storm()
			if stats := c.fleet.Stats(); stats.ConfigWiped > 0 {
				t.Errorf("%d configs left an agent without its schedule", stats.ConfigWiped)
			}
		})
	}
}

type convergence struct {
	*testing.T
	asked, served *process
	fleet         *agenttest.Fleet
	token         string
	hosts         map[string]int64 // host name -> id
	like          map[string]int64 // host name -> the host that stands for those of its kind
	windows       []int64
}

// know learns which agent is which host, on both replicas.
func (c *convergence) know() {
	c.Helper()
	c.hosts, c.like = map[string]int64{}, map[string]int64{}
	eventually(c.T, time.Minute, "every host is known", func() bool {
		var list struct {
			Data struct {
				Results []struct {
					ID       int64
					Name     string `json:"display_name"`
					Platform string
				}
			}
		}
		_, answer := c.asked.post("/services/api/v1/hosts", c.token, `{}`)
		if err := json.Unmarshal([]byte(answer), &list); err != nil {
			c.Fatal(err)
		}
		c.windows = nil
		kinds := map[string]int64{}
		for _, host := range list.Data.Results {
			c.hosts[host.Name] = host.ID
			kind := host.Platform
			if host.Name == c.fleet.Agents()[0].Hostname() {
				kind = "the one that gets a tag of its own"
			}
			if kinds[kind] == 0 {
				kinds[kind] = host.ID
			}
			c.like[host.Name] = kinds[kind]
			if host.Platform == "windows" {
				c.windows = append(c.windows, host.ID)
			}
		}
		return len(list.Data.Results) == fleetSize
	})
}

// change is one call of the API, and whether it concerns a host.
type change struct {
	what, verb, path, body string
	concerns               func(id int64) bool
}

func (c *convergence) changes() []change {
	everybody := func(int64) bool { return true }
	nobody := func(int64) bool { return false }
	one := c.hosts[c.fleet.Agents()[0].Hostname()]
	onlyOne := func(id int64) bool { return id == one }
	onWindows := func(id int64) bool { return slices.Contains(c.windows, id) }
	tags := fmt.Sprintf("/hosts/%d/tags", one)
	return []change{
		{"a pack that no host has the tag of", "POST", "/packs/add", `{"name":"late","tags":"late","queries":{"up":{"query":"select * from uptime","interval":60}}}`, nobody},
		{"one host gets the tag", "POST", tags, `{"tag":"late"}`, onlyOne},
		{"the pack gets a query more", "POST", "/packs/add", `{"name":"late","queries":{"os":{"query":"select * from os_version","interval":600}}}`, onlyOne},
		{"a query with that tag", "POST", "/queries/add", `{"name":"kernel_of_late","query":"select * from kernel_info","interval":300,"tags":"late"}`, onlyOne},
		{"the tag gets another name", "POST", "/tags/rename", `{"tag":"late","new_tag":"later"}`, nobody},
		{"a pack for everybody", "POST", "/packs/add", `{"name":"all","tags":"health","queries":{"time":{"query":"select * from time","interval":3600}}}`, nil},
		{"an option of all agents", "POST", "/options/add", `{"option":{"schedule_splay_percent":20}}`, everybody},
		{"Windows runs deep", "PUT", "/configs/toggle", `{"platform":"windows","arch":"x86_64","type":"deep"}`, onWindows},
		{"Windows runs shallow again", "PUT", "/configs/toggle", `{"platform":"windows","arch":"x86_64","type":"shallow"}`, onWindows},
		{"a query of the Windows config", "POST", "/configs/update", `{"platform":"windows","arch":"x86_64","type":"shallow","queries":{"system_info":{"interval":7200,"status":true}},"filters":{}}`, onWindows},
		{"the tag goes", "POST", "/tags/delete", `{"tag":"later"}`, onlyOne},
		{"the pack goes", "DELETE", "/packs/late/delete", ``, nobody},
		{"the query goes", "DELETE", "/queries/kernel_of_late/delete", ``, nobody},
	}
}

// walk makes one change after another; each is there one poll later.
func (c *convergence) walk() {
	c.Helper()
	c.converge("at the start")
	for _, change := range c.changes() {
		before := c.hashes()
		c.call(change)
		c.converge(change.what)
		if change.concerns == nil {
			continue
		}
		for name, hash := range c.hashes() {
			if touched := hash != before[name]; touched != change.concerns(c.hosts[name]) {
				c.Errorf("%s: the config of host %d (%s) changed: %v", change.what, c.hosts[name], name, touched)
			}
		}
	}
}

// storm makes changes without waiting for anybody while all agents poll.
func (c *convergence) storm() {
	c.Helper()
	done := make(chan struct{})
	var polling sync.WaitGroup
	polling.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				c.poll()
			}
		}
	})
	for _, change := range c.changes() {
		c.call(change)
	}
	close(done)
	polling.Wait()
	c.converge("after a storm of changes")
}

func (c *convergence) call(change change) {
	c.Helper()
	status, answer := c.asked.call(change.verb, "/services/api/v1"+change.path, c.token, change.body)
	if status != http.StatusOK {
		c.Fatalf("%s: %d %s", change.what, status, answer)
	}
}

// converge waits until the replica that agents talk to has heard of the change,
// lets every agent poll once, and compares what each has with what it should have.
func (c *convergence) converge(what string) {
	c.Helper()
	want := map[int64]string{} // by kind
	for _, id := range c.like {
		if want[id] == "" {
			want[id] = c.expected(c.asked, id)
		}
	}
	if c.asked != c.served {
		eventually(c.T, 30*time.Second, "the other replica knows: "+what, func() bool {
			for id, hash := range want {
				if c.expected(c.served, id) != hash {
					return false
				}
			}
			return true
		})
	}
	c.poll()
	for name, hash := range c.hashes() {
		if want := want[c.like[name]]; hash != want {
			c.Errorf("%s: %s has config %s one poll later and should have %s", what, name, hash, want)
		}
	}
}

// expected is the config_hash that the server says a host should have.
func (c *convergence) expected(p *process, id int64) string {
	c.Helper()
	status, answer := p.call("GET", fmt.Sprintf("/services/api/v1/hosts/%d/config/explain", id), c.token, "")
	var explained struct {
		Data struct {
			ConfigHash string `json:"config_hash"`
		}
	}
	if err := json.Unmarshal([]byte(answer), &explained); err != nil || status != http.StatusOK || explained.Data.ConfigHash == "" {
		c.Fatalf("explain answered %d %s", status, answer)
	}
	return explained.Data.ConfigHash
}

// poll lets every agent ask for its config once.
func (c *convergence) poll() {
	agents := make(chan *agenttest.Agent, fleetSize)
	for _, agent := range c.fleet.Agents() {
		agents <- agent
	}
	close(agents)
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for agent := range agents {
				if err := agent.FetchConfig(c.Context()); err != nil {
					c.Errorf("%s got no config: %v", agent.Hostname(), err)
				}
			}
		})
	}
	working.Wait()
}

func (c *convergence) hashes() map[string]string {
	hashes := map[string]string{}
	for _, agent := range c.fleet.Agents() {
		hashes[agent.Hostname()] = agent.ConfigHash()
	}
	return hashes
}
