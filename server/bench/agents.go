package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
)

var enrolled atomic.Int64

// enroll makes a host that nobody has seen before and returns its node key.
func enroll(s *server) (string, error) {
	n := enrolled.Add(1)
	body := fmt.Sprintf(`{"enroll_secret":%q,"host_identifier":"bench-%s-%d","platform_type":"9","host_details":{`+
		`"os_version":{"name":"Ubuntu","version":"24.04","platform":"ubuntu","arch":"x86_64"},`+
		`"osquery_info":{"instance_id":"11111111-0000-4000-8000-%012d","version":"5.23.1"},`+
		`"system_info":{"hostname":"bench-%d","computer_name":"bench-%d","uuid":"22222222-0000-4000-8000-%012d","hardware_serial":"S%d","cpu_type":"x86_64"}}}`,
		enrollSecret, s.engine, n, n, n, n, n, n)
	answer, err := post(s.address, s.roots, "/enroll", "", body)
	if err != nil {
		return "", err
	}
	var got struct {
		NodeKey string `json:"node_key"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.NodeKey == "" {
		return "", fmt.Errorf("enrolment answered %s", answer)
	}
	return got.NodeKey, nil
}

func enrollMany(s *server, count int) ([]string, error) {
	keys := make([]string, 0, count)
	for range count {
		key, err := enroll(s)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// settle lets a host fetch its config and answer what is asked after enrolment,
// so that its polls from then on are idle. It returns the config's etag.
func settle(s *server, key string) (etag string, err error) {
	answer, err := post(s.address, s.roots, "/config", key, `{"etag":""}`)
	if err != nil {
		return "", err
	}
	var config struct {
		ETag string `json:"etag"`
	}
	if err := json.Unmarshal([]byte(answer), &config); err != nil || config.ETag == "" {
		return "", fmt.Errorf("the config has no etag: %.200s", answer)
	}
	answer, err = post(s.address, s.roots, "/distributed/read", key, `{}`)
	if err != nil {
		return "", err
	}
	var work struct {
		Queries map[string]string `json:"queries"`
	}
	if err := json.Unmarshal([]byte(answer), &work); err != nil {
		return "", err
	}
	results := map[string]any{"queries": map[string]any{}, "statuses": map[string]int{}}
	for id := range work.Queries {
		results["queries"].(map[string]any)[id] = []map[string]string{{"name": "bench"}}
		results["statuses"].(map[string]int)[id] = 0
	}
	body, _ := json.Marshal(results)
	answer, err = post(s.address, s.roots, "/distributed/write", key, string(body))
	if err == nil && answer != "{}" {
		err = fmt.Errorf("the answers were refused: %s", answer)
	}
	return config.ETag, err
}

// measureEnrolments: hosts that enrol for the first time, each on a connection of
// its own, beside the same connections to a server that answers a constant.
func measureEnrolments(ctx context.Context, p plan, s *server, bare *bareServer) error {
	return versus(p, "enrolments",
		func() (float64, error) {
			return rate(ctx, p.duration, func(int, int) error { _, err := enroll(s); return err })
		},
		func() (float64, error) {
			return rate(ctx, p.duration, func(int, int) error {
				_, err := post(bare.address, s.roots, "/enroll", "", `{"enroll_secret":"x"}`)
				return err
			})
		})
}

// measurePolls: config polls whose etag still holds and reads with nothing to do.
func measurePolls(ctx context.Context, p plan, s *server, bare *bareServer) error {
	keys, err := enrollMany(s, workers)
	if err != nil {
		return err
	}
	bodies := make([]string, workers)
	for i, key := range keys {
		etag, err := settle(s, key)
		if err != nil {
			return err
		}
		bodies[i] = fmt.Sprintf(`{"node_key":%q,"etag":%q}`, key, etag)
	}
	constant := func() (float64, error) {
		return rate(ctx, p.duration, func(w, _ int) error {
			_, err := post(bare.address, s.roots, "/config", keys[w], bodies[w])
			return err
		})
	}
	err = versus(p, "idle polls: config, same etag", func() (float64, error) {
		return rate(ctx, p.duration, func(w, _ int) error {
			return expect(`{"etag":"ok"}`)(post(s.address, s.roots, "/config", keys[w], bodies[w]))
		})
	}, constant)
	if err != nil {
		return err
	}
	return versus(p, "idle polls: distributed/read", func() (float64, error) {
		return rate(ctx, p.duration, func(w, _ int) error {
			return expect(`{}`)(post(s.address, s.roots, "/distributed/read", keys[w], `{"node_key":"x"}`))
		})
	}, constant)
}

func expect(want string) func(string, error) error {
	return func(answer string, err error) error {
		if err == nil && answer != want {
			err = fmt.Errorf("answered %.200s, want %s", answer, want)
		}
		return err
	}
}
