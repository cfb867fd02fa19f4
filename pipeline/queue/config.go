package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// netTimeout bounds each of dialing, writing and reading. It is well under a
// third of Asynq's lease of 30 s, so that a hanging Redis is noticed in time.
const netTimeout = 3 * time.Second

// defaultRedisPort is the port of a Redis URL without one.
const defaultRedisPort = "6379"

// URL says where Redis is, with the password if it needs one:
//
//	redis://[[user]:password@]host[:port][/db]
//	rediss://…                                    the same over TLS
//	redis-socket://[:password@]/path[?db=n]       a Unix socket
//	redis-sentinel://[:password@]host:port[,host:port…]?master=name
//
// The password of a redis-sentinel URL is that of the sentinels. Whatever prints
// or logs a URL shows it without user and password; string(u) has them.
type URL string

// String returns the URL without user, password and query.
func (u URL) String() string {
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Host == "" && parsed.Path == "" {
		return "**redacted**"
	}
	return (&url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}).String()
}

// Format writes the URL without user, password and query for every verb.
func (u URL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue is what slog shows of the URL.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText gives encoders the URL without user, password and query.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// options reads the URL. Its errors do not quote it: where a password makes the
// URL unreadable, the messages of net/url show pieces of it.
func (u URL) options() (asynq.RedisConnOpt, error) {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return nil, errors.New("read the Redis URL: it is no URL (special characters in the password need %-escapes)")
	}
	switch parsed.Scheme {
	case "redis", "rediss", "redis-socket", "redis-sentinel":
	default:
		return nil, errors.New("read the Redis URL: it does not begin with redis://, rediss://, redis-socket:// or redis-sentinel://")
	}
	if parsed.Scheme != "redis-socket" && parsed.Hostname() == "" {
		return nil, errors.New("read the Redis URL: it names no host")
	}
	opt, err := asynq.ParseRedisURI(string(u))
	if err != nil {
		return nil, fmt.Errorf("read the Redis URL %s: %w", u, err)
	}
	switch opt := opt.(type) {
	case asynq.RedisClientOpt:
		// Asynq drops the user, whom Redis needs where it has access lists.
		opt.Username = parsed.User.Username()
		if opt.Network != "unix" && parsed.Port() == "" {
			opt.Addr = net.JoinHostPort(parsed.Hostname(), defaultRedisPort)
		}
		return opt, nil
	case asynq.RedisFailoverClientOpt:
		if opt.MasterName == "" {
			return nil, fmt.Errorf("read the Redis URL %s: it names no master (?master=NAME)", u)
		}
		return opt, nil
	default:
		return nil, fmt.Errorf("read the Redis URL %s: this kind of Redis is not supported", u)
	}
}

// connect returns a client for opt, which connects when it is first used. With
// hold, a command returns its first error instead of being sent again.
func connect(opt asynq.RedisConnOpt, hold bool) (redis.UniversalClient, error) {
	retries := 3
	if hold {
		retries = -1
	}
	switch opt := opt.(type) {
	case asynq.RedisClientOpt:
		return redis.NewClient(&redis.Options{
			Network: opt.Network, Addr: opt.Addr, Username: opt.Username, Password: opt.Password, DB: opt.DB, TLSConfig: opt.TLSConfig,
			DialTimeout: netTimeout, ReadTimeout: netTimeout, WriteTimeout: netTimeout,
			ContextTimeoutEnabled: true, MaxRetries: retries, DialerRetries: 1,
			// What Redis 7 and miniredis do not know only makes noise.
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		}), nil
	case asynq.RedisFailoverClientOpt:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: opt.MasterName, SentinelAddrs: opt.SentinelAddrs, SentinelUsername: opt.SentinelUsername, SentinelPassword: opt.SentinelPassword,
			Username: opt.Username, Password: opt.Password, DB: opt.DB, TLSConfig: opt.TLSConfig,
			DialTimeout: netTimeout, ReadTimeout: netTimeout, WriteTimeout: netTimeout,
			ContextTimeoutEnabled: true, MaxRetries: retries, DialerRetries: 1, DisableIdentity: true,
		}), nil
	default:
		return nil, fmt.Errorf("connect to Redis: %T is not supported", opt)
	}
}

// Config says which Redis a Queue uses.
type Config struct {
	// RedisURL says where Redis is; required. Its password appears in no error
	// and no log.
	RedisURL URL
	// Logger gets what Serve has to tell: outages, tickets that cannot be read,
	// looks that panicked; at debug level what Asynq and go-redis say. Nil is
	// silence.
	Logger *slog.Logger
}

// Queue is a connection to the queues in one Redis. It is safe for concurrent
// use, and implements pipeline.Queue.
type Queue struct {
	url    URL
	opt    asynq.RedisConnOpt
	log    *slog.Logger
	client redis.UniversalClient
	asynq  *asynq.Client
	pace   pace
	counts counters

	mu      sync.Mutex
	looking map[string]bool // jobs with a look in progress
}

// New returns the queues in the Redis of cfg. It does not connect: a Redis that is
// away is found out by Ping, and by the first use. The caller must Close the Queue.
//
// It sends what go-redis logs, which is process-global, to cfg.Logger at debug
// level; the last New wins.
func New(cfg Config) (*Queue, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	opt, err := cfg.RedisURL.options()
	if err != nil {
		return nil, err
	}
	redis.SetLogger(redisLog{log})
	client, err := connect(opt, false)
	if err != nil {
		return nil, err
	}
	return &Queue{
		url: cfg.RedisURL, opt: opt, log: log, client: client,
		asynq: asynq.NewClientFromRedisClient(client),
		pace:  defaultPace(), looking: map[string]bool{},
	}, nil
}

// Close gives the connections back. Every Serve must have returned before.
func (q *Queue) Close() error {
	if err := q.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close the connections to %s: %w", q.url, err)
	}
	return nil
}

// Ping returns nil when Redis answers, within about three seconds or until ctx
// ends.
func (q *Queue) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, netTimeout)
	defer cancel()
	if err := q.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping %s: %w", q.url, err)
	}
	return nil
}
