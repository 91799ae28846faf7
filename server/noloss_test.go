package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"muster/agentapi/agenttest"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/hosts"
	"muster/server/results"
)

// Under any failure of the server, no line that an agent deleted is missing from
// storage, and none that it sent twice is there twice.
func TestNoLineIsLost(t *testing.T) {
	t.Run("sqlite, the server is killed", func(t *testing.T) {
		p := newProcess(t, dbtest.URL(t, database.SQLite))
		proveNothingIsLost(t, p, func() { p.kill(); p.start() })
	})
	t.Run("postgres, the server is killed", func(t *testing.T) {
		p := newProcess(t, dbtest.URL(t, database.Postgres))
		proveNothingIsLost(t, p, func() { p.kill(); p.start() })
	})
	t.Run("postgres, PostgreSQL crashes", func(t *testing.T) {
		server := dbtest.StartServer(t)
		proveNothingIsLost(t, newProcess(t, server.URL), func() { server.Restart(t) })
	})
}

const (
	lossAgents  = 6
	lossBacklog = 1500
	lossRounds  = 4
)

func proveNothingIsLost(t *testing.T, p *process, fail func()) {
	ledger := agenttest.NewLedger(true)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var agents []*agenttest.Agent
	for i := range lossAgents {
		agent := lossAgent(t, p, i, ledger)
		agents = append(agents, agent)
		running.Go(func() { _ = agent.Run(ctx) })
	}
	for round := range lossRounds {
		before := ledger.Count()
		eventually(t, 90*time.Second, "lines are taken", func() bool { return ledger.Count() >= before+lossBacklog*lossAgents/lossRounds/2 })
		t.Logf("round %d: %d lines taken, failing now", round, ledger.Count())
		fail()
	}
	eventually(t, 90*time.Second, "the whole backlog is taken", func() bool { return !slices.ContainsFunc(agents, hasBacklog) })
	stop()
	running.Wait()
	if err := p.stop(); err != nil {
		t.Errorf("the server did not stop cleanly: %v", err)
	}
	checkStored(t, p.dbURL, ledger)
}

// lossAgent is one of a mixed fleet with a backlog on a bad network.
func lossAgent(t *testing.T, p *process, i int, ledger *agenttest.Ledger) *agenttest.Agent {
	versions := agenttest.Versions()
	agent, err := agenttest.New(agenttest.Options{
		Server: p.url(), RootCAs: p.roots, Secret: testSecret, Seed: int64(i + 1), Ledger: ledger,
		Version: versions[i%len(versions)],
		Flags: map[string]string{
			"logger_tls_max_lines": "100", "logger_tls_backoff_max": "1", "host_identifier": "instance",
			"logger_tls_compress": []string{"true", "false"}[i%2],
		},
		Intervals: agenttest.Intervals{
			Config: time.Second, Log: 20 * time.Millisecond, Distributed: time.Second, Schedule: time.Second, Restart: 100 * time.Millisecond,
		},
		Chaos: agenttest.Chaos{Backlog: lossBacklog, LoseAnswer: 0.1, DuplicateBatch: 0.05, InvalidUTF8: i == 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	return agent
}

func hasBacklog(agent *agenttest.Agent) bool {
	return slices.ContainsFunc(agent.Buffered(), func(line agenttest.Line) bool {
		return bytes.Contains(line.Raw, []byte("chaos_backlog"))
	})
}

func checkStored(t *testing.T, dbURL string, ledger *agenttest.Ledger) {
	t.Helper()
	db, err := database.Open(t.Context(), dbURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	register := hosts.New(db, bus.NewMemory(), slog.New(slog.DiscardHandler), hosts.Options{})
	if err := register.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := storedKeys(t, db)
	ids := map[string]int64{}
	missing := ledger.Missing(func(line agenttest.Line) bool {
		id, known := ids[line.Host]
		if !known {
			host, err := register.Find(t.Context(), line.Host)
			if err != nil {
				t.Fatalf("host %s: %v", line.Host, err)
			}
			id = host.ID
			ids[line.Host] = id
		}
		return keys[results.LineKey(id, unixTime(line.Raw), bytes.TrimSpace(line.Raw), 0)]
	})
	if len(missing) > 0 {
		t.Errorf("%d of %d lines that agents deleted are missing, such as %.300s", len(missing), ledger.Count(), missing[0].Raw)
	}
	t.Logf("%d lines taken from %d hosts, %d keys stored", ledger.Count(), len(ids), len(keys))

	var twice int64
	err = db.Read(t.Context()).Raw(`SELECT count(*) FROM (SELECT 1 FROM results WHERE name = 'chaos_backlog'
		GROUP BY host_id, columns, unix_time, counter, action HAVING count(*) > 1) AS repeated`).Scan(&twice).Error
	if err != nil || twice > 0 {
		t.Errorf("%d rows are stored more than once, %v", twice, err)
	}
	var stored int64
	if err := db.Read(t.Context()).Raw(`SELECT count(*) FROM results WHERE name = 'chaos_backlog'`).Scan(&stored).Error; err != nil || stored != lossBacklog*lossAgents {
		t.Errorf("%d rows of the backlog are stored, want %d, %v", stored, lossBacklog*lossAgents, err)
	}
}

func storedKeys(t *testing.T, db *database.DB) map[results.Key]bool {
	t.Helper()
	var rows []struct{ LineKey []byte }
	if err := db.Read(t.Context()).Raw("SELECT line_key FROM result_lines").Scan(&rows).Error; err != nil {
		t.Fatal(err)
	}
	keys := make(map[results.Key]bool, len(rows))
	for _, row := range rows {
		keys[results.Key(row.LineKey)] = true
	}
	return keys
}

// unixTime reads a line's time as the server does: a number or a string.
func unixTime(raw []byte) int64 {
	var line struct {
		UnixTime json.RawMessage `json:"unixTime"`
	}
	_ = json.Unmarshal(bytes.ToValidUTF8(raw, nil), &line)
	var n int64
	_ = json.Unmarshal(bytes.Trim(line.UnixTime, `"`), &n)
	return n
}
