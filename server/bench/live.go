package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// pace is the time in which the hosts' polls come in, evenly spread: agents poll
// every ten seconds. A burst is all of them at once.
const pace = 10 * time.Second

// measureLive: from an agent's write to the frame at a subscriber.
func measureLive(ctx context.Context, p plan, s *server, _ *bareServer) error {
	keys := make([]string, p.hosts)
	for i := range keys {
		key, err := enroll(s)
		if err != nil {
			return err
		}
		if _, err := settle(s, key); err != nil {
			return err
		}
		keys[i] = key
	}
	token, err := login(ctx, s)
	if err != nil {
		return err
	}
	for _, spread := range []struct {
		name string
		over time.Duration
	}{{"over one poll interval", pace}, {"all at once", 0}} {
		latencies, err := liveQuery(ctx, s, token, keys, spread.over)
		if err != nil {
			return err
		}
		fmt.Printf("  %-32s p50 %.1f ms  p99 %.1f ms  (%d of %d answers)\n", "live answer, "+spread.name,
			quantile(latencies, 0.5), quantile(latencies, 0.99), len(latencies), len(keys))
		if len(latencies) != len(keys) {
			return fmt.Errorf("%d of %d answers arrived", len(latencies), len(keys))
		}
	}
	return nil
}

func login(ctx context.Context, s *server) (string, error) {
	var got struct {
		Token string `json:"token"`
	}
	err := call(ctx, s, "/services/api/v1/login", "", map[string]any{"username": "admin", "password": adminPassword}, &got)
	return got.Token, err
}

func call(ctx context.Context, s *server, path, token string, body, answer any) error {
	raw, _ := json.Marshal(body)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("x-access-token", token)
	response, err := s.client().Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// liveQuery asks every enrolled host; those of keys answer. It returns the
// milliseconds from each host's write to the frame at the subscriber.
func liveQuery(ctx context.Context, s *server, token string, keys []string, over time.Duration) ([]float64, error) {
	var launched struct {
		Data struct {
			QueryID int64 `json:"query_id"`
		} `json:"data"`
	}
	if err := call(ctx, s, "/services/api/v1/distributed/add", token, map[string]any{"query": "select * from users"}, &launched); err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: s.roots}}
	url := fmt.Sprintf("wss://%s/services/api/v1/live/%d", s.address, launched.Data.QueryID)
	conn, response, err := dialer.DialContext(ctx, url, http.Header{"X-Access-Token": {token}})
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	defer func() { _ = conn.Close() }()

	var mu sync.Mutex
	sent := make(map[string]time.Time, len(keys))
	failures := make(chan error, len(keys))
	slots := make(chan struct{}, workers)
	var answering sync.WaitGroup
	answering.Go(func() {
		for i, key := range keys {
			if over > 0 {
				time.Sleep(over / time.Duration(len(keys)))
			}
			slots <- struct{}{}
			answering.Go(func() {
				defer func() { <-slots }()
				if err := answerLive(s, key, fmt.Sprintf("mark-%d-%d", launched.Data.QueryID, i), &mu, sent); err != nil {
					failures <- err
				}
			})
		}
	})
	latencies, err := receive(conn, len(keys), &mu, sent)
	answering.Wait()
	select {
	case failure := <-failures:
		return nil, failure
	default:
	}
	return latencies, err
}

// answerLive polls as one host and answers what it is asked, noting when.
func answerLive(s *server, key, mark string, mu *sync.Mutex, sent map[string]time.Time) error {
	answer, err := post(s.address, s.roots, "/distributed/read", key, `{}`)
	if err != nil {
		return err
	}
	var work struct {
		Queries map[string]string `json:"queries"`
	}
	if err := json.Unmarshal([]byte(answer), &work); err != nil || len(work.Queries) == 0 {
		return fmt.Errorf("distributed/read answered %s", answer)
	}
	var rows, statuses []string
	for id := range work.Queries {
		rows = append(rows, fmt.Sprintf(`%q:[{"uid":"0","username":"root","shell":"/bin/bash","description":%q}]`, id, mark))
		statuses = append(statuses, fmt.Sprintf(`%q:0`, id))
	}
	mu.Lock()
	sent[mark] = time.Now()
	mu.Unlock()
	return expect(`{}`)(post(s.address, s.roots, "/distributed/write", key,
		`{"queries":{`+strings.Join(rows, ",")+`},"statuses":{`+strings.Join(statuses, ",")+`}}`))
}

// receive reads frames until count answers came, or nothing came for a while.
func receive(conn *websocket.Conn, count int, mu *sync.Mutex, sent map[string]time.Time) ([]float64, error) {
	var latencies []float64
	for len(latencies) < count {
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		_, frame, err := conn.ReadMessage()
		if err != nil {
			return latencies, err
		}
		now := time.Now()
		var message struct {
			Type string              `json:"type"`
			Data []map[string]string `json:"data"`
		}
		if err := json.Unmarshal(frame, &message); err != nil {
			return latencies, err
		}
		if message.Type != "result" || len(message.Data) == 0 {
			continue
		}
		mu.Lock()
		at, ours := sent[message.Data[0]["description"]]
		mu.Unlock()
		if ours {
			latencies = append(latencies, float64(now.Sub(at).Microseconds())/1000)
		}
	}
	return latencies, nil
}
