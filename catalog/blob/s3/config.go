package s3

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rushes/catalog/blob"
)

// ChecksumMode says when checksums newer than MD5 are sent and asked for.
type ChecksumMode string

const (
	// WhenSupported sends a CRC-32 with every upload and checks the one of every
	// download that has one. It is the default, and right for AWS.
	WhenSupported ChecksumMode = "when-supported"
	// WhenRequired does so only where the protocol demands it and sends MD5 sums
	// instead, for stores that know no other.
	WhenRequired ChecksumMode = "when-required"
)

const (
	minPartSize     = 5 << 20 // bytes; S3 takes no smaller part but as the last one
	maxPartSize     = 5 << 30 // bytes
	maxParts        = 10_000
	defaultPartSize = 16 << 20 // bytes
)

// Config says where the bucket is and how to use it.
type Config struct {
	// Bucket is the bucket's name. Required.
	Bucket string
	// Prefix comes before every key, with a '/' between; "" for none.
	Prefix string
	// Endpoint is the address of the store, http or https, without the bucket; ""
	// for AWS.
	Endpoint string
	// PublicEndpoint is the address under which clients reach the store, for
	// presigned addresses; "" for Endpoint.
	PublicEndpoint string
	// Region is the one to sign for; "" for that of the environment, or us-east-1
	// where Endpoint is given.
	Region string
	// PathStyle puts the bucket into the path and not into the host name.
	PathStyle bool

	// AccessKey, SecretKey and SessionToken are the credentials. Where AccessKey
	// is "" the usual chain of AWS finds them: environment, shared files, the
	// machine's or the container's role.
	AccessKey               string
	SecretKey, SessionToken blob.Secret

	// ChecksumMode is WhenSupported where it is "".
	ChecksumMode ChecksumMode
	// SSE asks for encryption by the store: "", "AES256" or "aws:kms".
	SSE string
	// SSEKeyID names the key for aws:kms; "" for the account's own.
	SSEKeyID string
	// StorageClass is the class to store objects in; "" for the bucket's own.
	StorageClass string

	// PartSize is the size of the parts of larger bodies in bytes, 5 MiB to 5 GiB;
	// 0 for 16 MiB. Bodies of more than 10,000 parts go up in larger ones if
	// their size is known, and are refused if it is not.
	PartSize int64
	// Concurrency is the number of parts of one body that go up at a time; 0 for
	// 4. A Put holds so many parts in memory.
	Concurrency int
	// MaxAttempts is how often a request is made, the first time included; 0 for 5.
	MaxAttempts int
	// MaxBackoff is the longest wait between two attempts; 0 for 20 s.
	MaxBackoff time.Duration
	// ResponseTimeout is how long the store may take to begin an answer, and to go
	// on with one; 0 for 1 min.
	ResponseTimeout time.Duration
	// Transport carries the requests; nil for one of the store's own.
	Transport http.RoundTripper
}

// withDefaults returns c with its zero values filled in, or what is wrong with
// it.
func (c Config) withDefaults() (Config, error) {
	c.ChecksumMode = cmp.Or(c.ChecksumMode, WhenSupported)
	c.PartSize = cmp.Or(c.PartSize, defaultPartSize)
	c.Concurrency = cmp.Or(c.Concurrency, 4)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 5)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, 20*time.Second)
	c.ResponseTimeout = cmp.Or(c.ResponseTimeout, time.Minute)
	if c.Endpoint != "" {
		c.Region = cmp.Or(c.Region, "us-east-1")
	}
	return c, c.validate()
}

func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Bucket == "" || strings.Contains(c.Bucket, "/") {
		wrong("bucket %q is no name of a bucket", c.Bucket)
	}
	if c.Prefix != "" {
		if err := blob.CheckKey(c.Prefix); err != nil {
			wrong("prefix: %w", err)
		}
	}
	for name, address := range map[string]string{"endpoint": c.Endpoint, "public endpoint": c.PublicEndpoint} {
		if err := checkEndpoint(address); err != nil {
			wrong("%s: %w", name, err)
		}
	}
	if c.ChecksumMode != WhenSupported && c.ChecksumMode != WhenRequired {
		wrong("checksum mode %q is neither %s nor %s", c.ChecksumMode, WhenSupported, WhenRequired)
	}
	if c.SSE != "" && c.SSE != "AES256" && c.SSE != "aws:kms" {
		wrong("encryption %q is neither AES256 nor aws:kms", c.SSE)
	}
	if c.SSEKeyID != "" && c.SSE != "aws:kms" {
		wrong("an encryption key goes with aws:kms only")
	}
	if c.PartSize < minPartSize || c.PartSize > maxPartSize {
		wrong("part size of %d bytes is not within %d and %d", c.PartSize, minPartSize, maxPartSize)
	}
	if c.Concurrency < 1 || c.MaxAttempts < 1 || c.MaxBackoff < 0 || c.ResponseTimeout < 0 {
		wrong("concurrency, attempts and times cannot be negative")
	}
	if c.AccessKey != "" && c.SecretKey.Reveal() == "" {
		wrong("an access key needs its secret key")
	}
	return errors.Join(errs...)
}

// checkEndpoint never shows the address: it may carry a password.
func checkEndpoint(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("not an address")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return errors.New("not an http or https address")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return errors.New("carries more than scheme, host and path")
	}
	return nil
}

// partSize returns the size of the parts of a body of the given size, which
// may be blob.UnknownSize.
func (c Config) partSize(size int64) int64 {
	const step = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(c.PartSize, (least+step-1)/step*step)
}
