package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// workers is how many requests are under way at once.
const workers = 16

// post sends one request the way an agent does: a new TCP connection and a full
// TLS handshake. It is written by hand so that the client costs little.
func post(address string, roots *x509.CertPool, path, key string, body string) (string, error) {
	raw, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(16 * time.Second))
	conn := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	return exchange(conn, bufio.NewReader(conn), path, key, body)
}

// exchange writes one request and reads its answer.
func exchange(conn io.Writer, reader *bufio.Reader, path, key, body string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, len(body))
	if key != "" {
		fmt.Fprintf(&b, "Authorization: NodeKey %s\r\n", key)
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return string(answer), err
}

// rate runs one worker function on many goroutines for a while and returns calls
// a second. The first error ends it.
func rate(ctx context.Context, duration time.Duration, call func(worker, n int) error) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var calls atomic.Int64
	var first error
	var once sync.Once
	var running sync.WaitGroup
	start := time.Now()
	for w := range workers {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := call(w, n); err != nil {
					once.Do(func() { first = err; cancel() })
					return
				}
				calls.Add(1)
			}
		})
	}
	running.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds(), first
}

// versus lets ours and theirs take turns and prints the medians and their ratio.
func versus(p plan, name string, ours, theirs func() (float64, error)) error {
	var a, b, ratios []float64
	for range p.rounds {
		x, err := ours()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		y, err := theirs()
		if err != nil {
			return fmt.Errorf("%s, yardstick: %w", name, err)
		}
		a, b, ratios = append(a, x), append(b, y), append(ratios, x/y)
	}
	fmt.Printf("  %-32s %10.0f/s %12.0f/s %8.2f\n", name, median(a), median(b), median(ratios))
	return nil
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
