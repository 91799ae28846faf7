package outputs

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"muster/server/dial"
	"muster/server/fault"
)

// s3Settings are those of a bucket that lines are put into as objects.
type s3Settings struct {
	Endpoint  string `json:"endpoint"` // an URL without a path
	Bucket    string `json:"bucket"`
	Prefix    string `json:"prefix"` // of the objects' names
	Region    string `json:"region"` // (us-east-1)
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	PathStyle bool   `json:"path_style"`       // the bucket stands in the path and not in the host's name
	Seconds   int    `json:"interval_seconds"` // for which rows are gathered, unless there are enough (60)
	CA        string `json:"ca,omitempty"`     // PEM; empty: the system's
}

const (
	s3Rows       = 50_000
	s3Bytes      = 16 << 20
	maxS3Seconds = 24 * 3600
)

var (
	s3Bucket = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	s3Region = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	s3Code   = regexp.MustCompile(`^[A-Za-z]{1,64}$`)
)

func (s *s3Settings) check(DestinationOptions) error {
	if s.Region == "" {
		s.Region = "us-east-1"
	}
	if s.Seconds == 0 {
		s.Seconds = 60
	}
	s.Prefix = strings.Trim(s.Prefix, "/")
	if err := checkURL("endpoint", s.Endpoint); err != nil {
		return err
	}
	at, err := url.Parse(s.Endpoint)
	switch {
	case err != nil || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.Fragment != "":
		return fault.New(fault.Unprocessable, "endpoint is an URL without a path")
	case !s3Bucket.MatchString(s.Bucket):
		return fault.New(fault.Unprocessable, "bucket has between 3 and 63 small letters, digits, dots or hyphens")
	case !s3Region.MatchString(s.Region):
		return fault.New(fault.Unprocessable, "region has small letters, digits and hyphens")
	case len(s.Prefix) > 500 || strings.ContainsFunc(s.Prefix, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fault.New(fault.Unprocessable, "prefix has at most 500 printable characters and no blanks")
	case s.AccessKey == "" || s.SecretKey == "" || len(s.AccessKey+s.SecretKey) > maxCredential:
		return fault.New(fault.Unprocessable, "access_key and secret_key are wanted")
	case s.Seconds < 1 || s.Seconds > maxS3Seconds:
		return fault.New(fault.Unprocessable, "interval_seconds is between 1 and %d", maxS3Seconds)
	}
	_, err = authorities(s.CA)
	return err
}

func (s *s3Settings) secrets() map[string]*string {
	return map[string]*string{"secret_key": &s.SecretKey}
}

func (s *s3Settings) receiver() string { return s.Endpoint + " " + s.AccessKey }

func (s *s3Settings) batching() batching {
	return batching{rows: s3Rows, bytes: s3Bytes, linger: time.Duration(s.Seconds) * time.Second, repeats: true}
}

func (s *s3Settings) open(o DestinationOptions) (sender, error) {
	roots, err := authorities(s.CA)
	if err != nil {
		return nil, err
	}
	if roots == nil {
		roots = o.Roots
	}
	at, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "endpoint is no URL")
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial.New().DialContext, TLSHandshakeTimeout: dial.Timeout,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableCompression: true, IdleConnTimeout: time.Minute,
	}
	options := &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Secure: at.Scheme == "https", Region: s.Region, Transport: transport,
		MaxRetries: 1, // forwarding has its own
	}
	if s.PathStyle {
		options.BucketLookup = minio.BucketLookupPath
	}
	client, err := minio.New(at.Host, options)
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "endpoint is no address of a service that speaks S3")
	}
	return &s3Sender{*s, client, transport}, nil
}

// s3Sender puts each batch into an object of its own, whose name follows from its
// stream and ids: a repeat takes the place of the first.
type s3Sender struct {
	s         s3Settings
	client    *minio.Client
	transport *http.Transport
}

func (s *s3Sender) close() { s.transport.CloseIdleConnections() }

func (s *s3Sender) send(ctx context.Context, b batch) error {
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	for _, l := range b.lines {
		_, _ = zip.Write(l.text) // into memory
		_, _ = zip.Write([]byte{'\n'})
	}
	_ = zip.Close()
	_, err := s.client.PutObject(ctx, s.s.Bucket, s.name(b), &body, int64(body.Len()), minio.PutObjectOptions{
		ContentType: "application/gzip", SendContentMd5: true, DisableMultipart: true,
	})
	if err != nil {
		return s.fault(err)
	}
	return nil
}

// name is PREFIX/STREAM/DATE/FIRST-LAST.jsonl.gz: the date is that of the first row's
// arrival in UTC, and the ids sort as numbers do.
func (s *s3Sender) name(b batch) string {
	return path.Join(s.s.Prefix, string(b.stream), b.lines[0].at.UTC().Format("2006-01-02"), fmt.Sprintf("%019d-%019d.jsonl.gz", b.first, b.last))
}

// fault says why, by the code of the protocol or the network's reason, and never in
// the words of the receiver.
func (s *s3Sender) fault(err error) error {
	reason := networkReason(err)
	said := minio.ToErrorResponse(err)
	if reason == "" && s3Code.MatchString(said.Code) {
		reason = "it answered " + said.Code
	}
	if reason == "" {
		reason = "it did not take the object"
	}
	return fault.Wrap(&sendError{cause: fmt.Sprintf("status %d, %s", said.StatusCode, reason)}, fault.Unprocessable, "The bucket %s: %s", s.s.Bucket, reason)
}
