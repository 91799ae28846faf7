package outputs

import (
	"context"
	"crypto/tls"
	"errors"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"muster/server/dial"
	"muster/server/fault"
)

// kafkaSettings are those of a topic of Kafka that lines are produced to.
type kafkaSettings struct {
	Brokers   []string `json:"brokers"` // host:port of some of them
	Topic     string   `json:"topic"`   // {stream} in it is the stream
	TLS       bool     `json:"tls"`
	CA        string   `json:"ca,omitempty"` // PEM; empty: the system's
	Mechanism string   `json:"mechanism"`    // of SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty: no sign-in
	Username  string   `json:"username"`
	Password  string   `json:"password"`
	Bytes     int32    `json:"max_message_bytes"` // that the brokers take of one message (1,000,000)
}

const (
	maxKafkaBrokers  = 50
	kafkaOverhead    = 1 << 10 // bytes of a message beside its line
	minKafkaMessage  = 16 << 10
	maxKafkaMessage  = 64 << 20
	kafkaStreamPlace = "{stream}"
)

var kafkaTopic = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)

func (s *kafkaSettings) check(DestinationOptions) error {
	if s.Bytes == 0 {
		s.Bytes = 1_000_000
	}
	if len(s.Brokers) == 0 || len(s.Brokers) > maxKafkaBrokers {
		return fault.New(fault.Unprocessable, "brokers names between 1 and %d of them", maxKafkaBrokers)
	}
	for _, broker := range s.Brokers {
		if err := checkAddress("each of brokers", broker); err != nil {
			return err
		}
	}
	switch topic := s.topic(StreamResults); {
	case !kafkaTopic.MatchString(topic) || topic == "." || topic == "..":
		return fault.New(fault.Unprocessable, "topic has letters, digits and any of . _ -, and {stream} for the name of the stream")
	case s.Bytes < minKafkaMessage || s.Bytes > maxKafkaMessage:
		return fault.New(fault.Unprocessable, "max_message_bytes is between %d and %d", minKafkaMessage, maxKafkaMessage)
	case s.Mechanism == "" && s.Username+s.Password != "":
		return fault.New(fault.Unprocessable, "mechanism is missing: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	case s.Mechanism != "" && s.sasl() == nil:
		return fault.New(fault.Unprocessable, "mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	case s.Mechanism != "" && (s.Username == "" || s.Password == "" || len(s.Username+s.Password) > 2*maxCredential):
		return fault.New(fault.Unprocessable, "username and password are wanted by mechanism")
	}
	_, err := authorities(s.CA)
	return err
}

func (s *kafkaSettings) topic(stream Stream) string {
	return strings.ReplaceAll(s.Topic, kafkaStreamPlace, string(stream))
}

func (s *kafkaSettings) sasl() sasl.Mechanism {
	switch s.Mechanism {
	case "PLAIN":
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism()
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism()
	}
	return nil
}

func (s *kafkaSettings) secrets() map[string]*string {
	return map[string]*string{"password": &s.Password}
}

// transportOf stands for how a secret travels: one that was entered for TLS is not sent
// in the clear because somebody else turned it off.
func transportOf(secure bool) string {
	if secure {
		return "tls"
	}
	return "tcp"
}

func (s *kafkaSettings) receiver() string {
	return strings.Join(s.Brokers, ",") + " " + s.Mechanism + " " + s.Username + " " + transportOf(s.TLS)
}

func (s *kafkaSettings) batching() batching { return batching{maxLine: int(s.Bytes) - kafkaOverhead} }

func (s *kafkaSettings) open(o DestinationOptions) (sender, error) {
	// There is no RecordDeliveryTimeout: it counts from a record's timestamp, and these
	// are as old as what is forwarded. A batch ends with its context.
	options := []kgo.Opt{
		kgo.SeedBrokers(s.Brokers...), kgo.ClientID("muster"), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchMaxBytes(s.Bytes), kgo.MaxBufferedRecords(100_000), kgo.ProducerLinger(0),
	}
	dialer := dial.New()
	if s.TLS {
		roots, err := authorities(s.CA)
		if err != nil {
			return nil, err
		}
		if roots == nil {
			roots = o.Roots
		}
		secure := &tls.Dialer{NetDialer: dialer, Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		options = append(options, kgo.Dialer(secure.DialContext))
	} else {
		options = append(options, kgo.Dialer(dialer.DialContext))
	}
	if mechanism := s.sasl(); mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unprocessable, "The settings for Kafka do not fit together")
	}
	return &kafkaSender{s: *s, client: client}, nil
}

// kafkaSender produces lines, acknowledged by all replicas of the topic. The key is
// the host, whose lines are therefore in one partition, in their order.
type kafkaSender struct {
	s       kafkaSettings
	client  *kgo.Client
	reached bool // a broker answered
}

func (k *kafkaSender) close() { k.client.Close() }

func (k *kafkaSender) send(ctx context.Context, b batch) error {
	// What is on its way to a broker that does not answer is waited for in vain: only
	// closing the client ends that. Nobody sends with this one again then.
	defer context.AfterFunc(ctx, k.client.Close)()
	if !k.reached {
		if err := k.client.Ping(ctx); err != nil { // it says why; producing would try until its time is over
			return kafkaFault(err, k.s.topic(b.stream))
		}
		k.reached = true
	}
	records := make([]*kgo.Record, 0, len(b.lines))
	for _, l := range b.lines {
		records = append(records, &kgo.Record{Topic: k.s.topic(b.stream), Key: []byte(l.host), Value: l.text, Timestamp: l.at})
	}
	if err := k.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return kafkaFault(err, k.s.topic(b.stream))
	}
	return nil
}

// kafkaFault says why, in the words of the protocol or of the network, and never in
// those of a broker.
func kafkaFault(err error, topic string) error {
	reason := networkReason(err)
	var said *kerr.Error
	if errors.As(err, &said) {
		reason = strings.ToLower(strings.ReplaceAll(said.Message, "_", " "))
	}
	if reason == "" {
		reason = "the brokers did not take it"
	}
	return fault.Wrap(&sendError{cause: reason}, fault.Unprocessable, "The topic %s of Kafka: %s", topic, reason)
}
