package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"

	"rushes/catalog/blob"
)

// Store is a blob store in a bucket. It is safe for concurrent use; Close it
// when done.
type Store struct {
	config  Config
	client  *s3.Client
	presign *s3.PresignClient
	close   func()
	// bucketSeen is set once the bucket has answered: a HEAD of a missing bucket
	// looks like that of a missing object.
	bucketSeen atomic.Bool
}

var (
	_ blob.Store      = (*Store)(nil)
	_ blob.FilePutter = (*Store)(nil)
	_ blob.Presigner  = (*Store)(nil)
)

// Open makes a store of the bucket. It reads the machine's AWS settings where
// cfg leaves the credentials or the region to them, and does not talk to the
// store yet; Check does.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", cfg.Bucket, err)
	}
	return s, nil
}

func open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	settings, err := settings(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{config: cfg, close: func() {}}
	transport := cfg.Transport
	if transport == nil {
		own := newTransport(cfg)
		transport, s.close = own, own.CloseIdleConnections
	}
	options := func(o *s3.Options) {
		o.HTTPClient = &http.Client{Transport: transport, CheckRedirect: noRedirect}
		o.UsePathStyle = cfg.PathStyle
		o.Retryer = newRetryer(cfg)
		o.Logger = logging.Nop{} // the store returns errors, it does not log
		o.DisableLogOutputChecksumValidationSkipped = true
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
	s.client = s3.NewFromConfig(settings, options, func(o *s3.Options) {
		o.BaseEndpoint = endpoint(cfg.Endpoint)
		if cfg.ChecksumMode == WhenSupported {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		}
	})
	// Clients that follow an address know nothing of checksums.
	s.presign = s3.NewPresignClient(s3.NewFromConfig(settings, options, func(o *s3.Options) {
		o.BaseEndpoint = endpoint(cfg.Endpoint)
		if cfg.PublicEndpoint != "" {
			o.BaseEndpoint = endpoint(cfg.PublicEndpoint)
		}
	}))
	return s, nil
}

// settings are the SDK's, from the machine's own where cfg does not say
// everything.
func settings(ctx context.Context, cfg Config) (aws.Config, error) {
	static := credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey.Reveal(), cfg.SessionToken.Reveal())
	if cfg.AccessKey != "" && cfg.Region != "" {
		return aws.Config{Region: cfg.Region, Credentials: aws.NewCredentialsCache(static)}, nil
	}
	var options []func(*config.LoadOptions) error
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.AccessKey != "" {
		options = append(options, config.WithCredentialsProvider(static))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS settings: %w", err)
	}
	if loaded.Region == "" {
		return aws.Config{}, errors.New("no region is given")
	}
	return loaded, nil
}

func endpoint(address string) *string {
	if address == "" {
		return nil
	}
	return aws.String(strings.TrimSuffix(address, "/"))
}

func newTransport(cfg Config) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = 64
	t.ResponseHeaderTimeout = cfg.ResponseTimeout
	t.DisableCompression = true // a gzipped object is to stay one
	return t
}

// noRedirect: a signature is for one address.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newRetryer(cfg Config) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = cfg.MaxAttempts
		o.MaxBackoff = cfg.MaxBackoff
		o.RateLimiter = ratelimit.None // one bad key must not use up the attempts of the others
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			// Bytes that were damaged on the way, and a race that AWS asks to repeat.
			"BadDigest": {}, "IncompleteBody": {}, "XAmzContentSHA256Mismatch": {}, "XAmzContentChecksumMismatch": {},
			"OperationAborted": {}, "ConditionalRequestConflict": {},
			// Stores on top of a file system say so too when a folder goes away beside.
			"ExistingObjectIsDirectory": {},
		}})
	})
}

// Close gives idle connections back. Calls that are under way go on.
func (s *Store) Close() error {
	s.close()
	return nil
}

// Check asks whether the bucket is there and these credentials may list it.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.config.Bucket})
	switch {
	case isStatus(err, http.StatusNotFound):
		return fmt.Errorf("there is no bucket %s: %w", s.config.Bucket, err) // not blob.ErrNotFound: that is an object's
	case err != nil:
		return fmt.Errorf("look for bucket %s: %w", s.config.Bucket, s.translate(ctx, err))
	}
	s.bucketSeen.Store(true)
	return nil
}

// object returns what the bucket calls the object under key.
func (s *Store) object(key string) (*string, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	full := s.prefix() + key
	if len(full) > blob.MaxKey {
		return nil, fmt.Errorf("key of %d bytes with its prefix, more than %d: %w", len(full), blob.MaxKey, blob.ErrInvalidKey)
	}
	return &full, nil
}

func (s *Store) prefix() string {
	if s.config.Prefix == "" {
		return ""
	}
	return s.config.Prefix + "/"
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	head, err := s.head(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return blob.Info{Key: key, Size: aws.ToInt64(head.ContentLength), ModTime: aws.ToTime(head.LastModified)}, nil
}

// head asks for the description of an object, with the checksum that the store
// keeps of it.
func (s *Store) head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	name, err := s.object(key)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	input := &s3.HeadObjectInput{Bucket: &s.config.Bucket, Key: name}
	if s.config.ChecksumMode == WhenSupported {
		input.ChecksumMode = types.ChecksumModeEnabled
	}
	head, err := s.client.HeadObject(ctx, input)
	if err != nil {
		err = s.translate(ctx, err)
		if errors.Is(err, blob.ErrNotFound) && !s.bucketSeen.Load() {
			if missing := s.Check(ctx); isStatus(missing, http.StatusNotFound) {
				return nil, missing
			}
		}
		return nil, err
	}
	if head.ContentLength == nil {
		return nil, errors.New("the store does not say the size")
	}
	s.bucketSeen.Store(true)
	return head, nil
}

// List gives the objects whose keys begin with prefix, in byte order.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if err := s.list(ctx, prefix, func(info blob.Info) bool { return yield(info, nil) }); err != nil {
			yield(blob.Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

func (s *Store) list(ctx context.Context, prefix string, yield func(blob.Info) bool) error {
	if err := errors.Join(blob.CheckPrefix(prefix), ctx.Err()); err != nil {
		return err
	}
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{
		Bucket: &s.config.Bucket, Prefix: aws.String(s.prefix() + prefix),
	}, func(o *s3.ListObjectsV2PaginatorOptions) { o.StopOnDuplicateToken = true })
	last := ""
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return s.translate(ctx, err)
		}
		s.bucketSeen.Store(true)
		for _, o := range page.Contents {
			key, ok := strings.CutPrefix(aws.ToString(o.Key), s.prefix())
			if !ok || blob.CheckKey(key) != nil {
				continue // another program's, as a folder's mark that ends in '/'
			}
			if key <= last {
				return fmt.Errorf("the store lists %q after %q", key, last)
			}
			last = key
			if !yield(blob.Info{Key: key, Size: aws.ToInt64(o.Size), ModTime: aws.ToTime(o.LastModified)}) {
				return nil
			}
		}
	}
	return nil
}

// Delete removes the object.
func (s *Store) Delete(ctx context.Context, key string) error {
	name, err := s.object(key)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.config.Bucket, Key: name}); err != nil {
		if err = s.translate(ctx, err); !errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}
