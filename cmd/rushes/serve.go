package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"rushes/pipeline"
	"rushes/pipeline/queue"
)

// serveCmd is everything in one process.
type serveCmd struct {
	Listen    string `help:"Address of the HTTP server: the API, files, /healthz, /readyz and /metrics." default:"127.0.0.1:8470" env:"RUSHES_LISTEN"`
	Redis     string `help:"Redis to queue in; without it, a broker inside of this process." placeholder:"URL" env:"RUSHES_REDIS"`
	nodeFlags `embed:""`
	apiFlags  `embed:""`
}

// Validate checks the flags that kong's tags cannot.
func (c *serveCmd) Validate() error {
	return errors.Join(c.nodeFlags.Validate(), c.apiFlags.Validate())
}

// Run works until a signal comes.
func (c *serveCmd) Run(ctx context.Context, e env) (err error) {
	log := c.logger(e.stderr)
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	url := queue.URL(c.Redis)
	if c.Redis == "" {
		broker, err := queue.StartEmbedded(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		defer broker.Close()
		url = broker.URL()
		// It begins empty: whatever is queued gets a new ticket.
		jobs, err := pipeline.Rebuild(ctx, d.catalog)
		if err != nil {
			return fmt.Errorf("fill the broker: %w", err)
		}
		log.Info("the broker is filled", "jobs", jobs)
	}
	return serveNode(ctx, &c.nodeFlags, &c.apiFlags, c.Listen, url, log, d)
}

// workerCmd is a worker beside others.
type workerCmd struct {
	Redis     string `help:"Redis that the jobs are queued in." required:"" placeholder:"URL" env:"RUSHES_REDIS"`
	Listen    string `help:"Address of an HTTP server with /healthz, /readyz and /metrics; none without it." placeholder:"ADDRESS" env:"RUSHES_LISTEN"`
	nodeFlags `embed:""`
}

// Validate checks the flags that kong's tags cannot.
func (c *workerCmd) Validate() error { return c.nodeFlags.Validate() }

// Run works until a signal comes.
func (c *workerCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return serveNode(ctx, &c.nodeFlags, nil, c.Listen, queue.URL(c.Redis), c.logger(e.stderr), d)
}

// serveNode runs a node, and its HTTP server where an address is given: with the API where its flags are.
func serveNode(ctx context.Context, f *nodeFlags, api *apiFlags, listen string, url queue.URL, log *slog.Logger, d *data) (err error) {
	q, err := queue.New(queue.Config{RedisURL: url, Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	n, err := newNode(f, log, d, q)
	if err != nil {
		return err
	}
	if listen == "" {
		return n.run(ctx)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	log.Info("listening", "address", l.Addr().String())
	if api != nil {
		return n.run(ctx, func(ctx context.Context) error { return api.serveAPI(ctx, n, l) })
	}
	server := &http.Server{Handler: n.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	return n.run(ctx, func(ctx context.Context) error { return serveHTTP(ctx, l, server) })
}

// routes are what every node answers.
func (n *node) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", n.meter.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := n.ready(r.Context()); err != nil {
			http.Error(w, line(err), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// ready asks the queue and the catalog whether they answer.
func (n *node) ready(ctx context.Context) error {
	_, err := n.data.catalog.CountJobs(ctx)
	return errors.Join(err, n.queue.Ping(ctx))
}
