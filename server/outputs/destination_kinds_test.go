package outputs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"muster/server/fault"
)

func TestForwardingToSyslog(t *testing.T) {
	certificate, roots := testCertificate(t)
	secure := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	for sentence, config := range map[string]*tls.Config{"over TCP": nil, "over TLS": secure} {
		t.Run(sentence, func(t *testing.T) {
			server := startSyslog(t, config)
			s := opened(t, &syslogSettings{Address: server.address, TLS: config != nil}, DestinationOptions{Roots: roots})
			alert := aBatch(4, 4)
			alert.stream = StreamAlerts
			mustSend(t, s, aBatch(1, 3), alert)
			var got []sent
			for n := range 4 {
				m := server.next(t)
				got = append(got, parse(t, []byte(*m.Message))...)
				priority := uint8(16*8 + 6)
				if n == 3 {
					priority = 16*8 + 4
				}
				if *m.Priority != priority || *m.Hostname != fmt.Sprintf("web-%d", (n+1)%2) || *m.Appname != "muster" || !m.Timestamp.Equal(lineStored) {
					t.Errorf("%+v", m)
				}
			}
			wantAll(t, got, 4)
		})
	}
	if s := opened(t, &syslogSettings{Address: startSyslog(t, secure).address, TLS: true}, DestinationOptions{}); !refuses(t, s, "unknown authority") {
		t.Error("a certificate of nobody we know is taken")
	}
}

// refuses reports whether sending fails with a sentence for people.
func refuses(t *testing.T, s sender, want string) bool {
	t.Helper()
	err := s.send(t.Context(), aBatch(1, 1))
	if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), want) {
		t.Logf("%v, not %q", err, want)
		return false
	}
	return true
}

func TestForwardingToAWebhook(t *testing.T) {
	for body, kind := range map[string]string{"lines": "application/x-ndjson", "array": "application/json"} {
		t.Run(body, func(t *testing.T) {
			server := startReceiver(t, nil)
			b := aBatch(1, 30)
			s := opened(t, &forwardSettings{URL: server.URL + "/in", Body: body, Secret: password, Authorization: "Bearer abc", Bytes: 1200}, DestinationOptions{})
			mustSend(t, s, b, b)
			var got []sent
			requests := server.requests()
			half := len(requests) / 2
			for n, r := range requests {
				if r.header.Get("Content-Type") != kind || r.header.Get("Authorization") != "Bearer abc" || len(r.body) > 1200 ||
					r.header.Get(headerSignature) != sign(password, r.header.Get(headerTimestamp), r.body) {
					t.Errorf("%+v", r)
				}
				if n >= half && (r.header.Get(headerDelivery) != requests[n-half].header.Get(headerDelivery) || !bytes.Equal(r.body, requests[n-half].body)) {
					t.Errorf("the repeat of request %d is another", n-half)
				}
				if body == "lines" {
					got = append(got, parse(t, r.body)...)
					continue
				}
				var list []sent
				if err := json.Unmarshal(r.body, &list); err != nil {
					t.Fatal(err)
				}
				got = append(got, list...)
			}
			wantAll(t, got[:len(got)/2], 30)
			wantAll(t, got[len(got)/2:], 30)
		})
	}
}

func startKafka(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(4, "muster-results", "muster-test")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// consumed are the records of a topic, by their partitions.
func consumed(t *testing.T, want int, topic string, options ...kgo.Opt) map[int32][]*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.ConsumeTopics(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	found, n := map[int32][]*kgo.Record{}, 0
	for n < want {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records came", n, want)
		}
		fetches.EachRecord(func(r *kgo.Record) { found[r.Partition] = append(found[r.Partition], r); n++ })
	}
	return found
}

func TestForwardingToKafka(t *testing.T) {
	certificate, roots := testCertificate(t)
	secure := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	for sentence, c := range map[string]struct {
		cluster  []kfake.Opt
		settings kafkaSettings
		reader   []kgo.Opt
	}{
		"in the open": {},
		"with SASL PLAIN over TLS": {
			[]kfake.Opt{kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}), kfake.EnableSASL(), kfake.Superuser("PLAIN", "muster", password)},
			kafkaSettings{TLS: true, Mechanism: "PLAIN", Username: "muster", Password: password}, []kgo.Opt{kgo.DialTLSConfig(secure)},
		},
		"with SCRAM": {
			[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "muster", password)},
			kafkaSettings{Mechanism: "SCRAM-SHA-512", Username: "muster", Password: password}, nil,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			cluster := startKafka(t, c.cluster...)
			c.settings.Brokers, c.settings.Topic = cluster.ListenAddrs(), "muster-{stream}"
			s := opened(t, &c.settings, DestinationOptions{Roots: roots})
			mustSend(t, s, aBatch(1, 50), aBatch(51, 100))
			reader := append(c.reader, kgo.SeedBrokers(cluster.ListenAddrs()...))
			if mechanism := c.settings.sasl(); mechanism != nil {
				reader = append(reader, kgo.SASL(mechanism))
			}
			ofHost := map[string][]int64{}
			for partition, records := range consumed(t, 100, "muster-results", reader...) {
				for _, r := range records {
					line := parse(t, r.Value)[0]
					if string(r.Key) != line.Host.Identifier || !r.Timestamp.Equal(lineStored.Truncate(time.Millisecond)) {
						t.Errorf("partition %d: %s at %v", partition, r.Key, r.Timestamp)
					}
					ofHost[string(r.Key)] = append(ofHost[string(r.Key)], line.ID)
				}
			}
			for host, ids := range ofHost {
				if len(ids) != 50 || !slices.IsSorted(ids) {
					t.Errorf("%s has %d lines: %v", host, len(ids), ids)
				}
			}
		})
	}
}

func TestKafkaThatFails(t *testing.T) {
	open := startKafka(t)
	signIn := startKafka(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "muster", "another"))
	for sentence, c := range map[string]struct {
		settings kafkaSettings
		want     string
	}{
		"nobody listens":      {kafkaSettings{Brokers: []string{"127.0.0.1:1"}, Topic: "muster-results"}, "the connection was refused"},
		"a wrong password":    {kafkaSettings{Brokers: signIn.ListenAddrs(), Topic: "muster-results", Mechanism: "PLAIN", Username: "muster", Password: password}, "the connection broke off"},
		"no topic":            {kafkaSettings{Brokers: open.ListenAddrs(), Topic: "nothing"}, "unknown topic or partition"},
		"no TLS at that port": {kafkaSettings{Brokers: open.ListenAddrs(), Topic: "muster-results", TLS: true}, "The topic muster-results of Kafka: "},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := opened(t, &c.settings, DestinationOptions{SendTimeout: 5 * time.Second})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := s.send(ctx, aBatch(1, 1))
			if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), c.want) || strings.Contains(err.Error(), password) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}

// TestKafkaThatHangs: a broker that takes a message and never answers is given up.
func TestKafkaThatHangs(t *testing.T) {
	cluster := startKafka(t)
	free := make(chan struct{})
	t.Cleanup(func() { close(free) })
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		cluster.SleepControl(func() { <-free })
		return nil, nil, false
	})
	s := opened(t, &kafkaSettings{Brokers: cluster.ListenAddrs(), Topic: "muster-results"}, DestinationOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.send(ctx, aBatch(1, 1)); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("giving up took %v", took)
	}
}

// startS3 is a storage with the bucket logs.
func startS3(t *testing.T, secure bool) (server *httptest.Server, objects *s3mem.Backend, roots *x509.CertPool) {
	t.Helper()
	objects = s3mem.New()
	if err := objects.CreateBucket("logs"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(objects).Server()
	roots = x509.NewCertPool()
	if !secure {
		server = httptest.NewServer(fake)
	} else {
		server = httptest.NewTLSServer(fake)
		roots.AddCert(server.Certificate())
	}
	t.Cleanup(server.Close)
	return server, objects, roots
}

func TestForwardingToS3(t *testing.T) {
	for sentence, secure := range map[string]bool{"over HTTP": false, "over TLS": true} {
		t.Run(sentence, func(t *testing.T) {
			server, objects, roots := startS3(t, secure)
			s := opened(t, &s3Settings{Endpoint: server.URL, Bucket: "logs", Prefix: "/muster/", AccessKey: "key", SecretKey: password, PathStyle: true}, DestinationOptions{Roots: roots})
			mustSend(t, s, aBatch(1, 3), aBatch(1, 3), aBatch(4, 4))
			found := stored(t, objects)
			names := slices.Sorted(maps.Keys(found))
			var got []sent
			for _, name := range names {
				got = append(got, found[name]...)
			}
			want := []string{"muster/results/2026-03-01/0000000000000000001-0000000000000000003.jsonl.gz", "muster/results/2026-03-01/0000000000000000004-0000000000000000004.jsonl.gz"}
			if !slices.Equal(names, want) || len(got) != 4 {
				t.Errorf("%v, %d lines", names, len(got))
			}
			wantAll(t, got, 4)
		})
	}
}

func TestS3ThatFails(t *testing.T) {
	server, _, _ := startS3(t, false)
	rude := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>the key %s is wrong</Message></Error>", password)
	}))
	t.Cleanup(rude.Close)
	for sentence, c := range map[string]struct{ endpoint, bucket, want string }{
		"no bucket":      {server.URL, "nothing", "it answered NoSuchBucket"},
		"nobody listens": {"http://127.0.0.1:1", "logs", "the connection was refused"},
		"a refusal":      {rude.URL, "logs", "it answered AccessDenied"},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := opened(t, &s3Settings{Endpoint: c.endpoint, Bucket: c.bucket, AccessKey: "key", SecretKey: password, PathStyle: true}, DestinationOptions{})
			err := s.send(t.Context(), aBatch(1, 1))
			if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), c.want) || strings.Contains(err.Error(), password) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}
