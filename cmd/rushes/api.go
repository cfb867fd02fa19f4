package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rushes/catalog"
	"rushes/catalog/api"
	"rushes/catalog/blob/signed"
	"rushes/pipeline/stage"
)

// apiFlags are those of the HTTP API.
type apiFlags struct {
	linkFlags `embed:""`
	Captures  []string `help:"Folders and s3://BUCKET/PREFIX places of which callers of the API may have captures processed. None by default." sep:"," placeholder:"LIST" env:"RUSHES_CAPTURES"`
	Origins   []string `help:"Origins whose pages may read answers of the API, such as https://player.example.com, or *." sep:"," placeholder:"LIST" env:"RUSHES_ORIGINS"`
	Rate      float64  `name:"api-rate" help:"Requests a second that one access key may make in the long run." default:"50" env:"RUSHES_API_RATE"`
	Burst     int      `name:"api-burst" help:"Requests that one access key may make at once." default:"200" env:"RUSHES_API_BURST"`
}

// Validate checks the flags that kong's tags cannot.
func (f *apiFlags) Validate() error {
	if f.Rate <= 0 || f.Burst < 1 {
		return fmt.Errorf("--api-rate: %v with --api-burst %d lets nobody in", f.Rate, f.Burst)
	}
	for _, place := range f.Captures {
		if _, _, isS3 := stage.SplitS3(place); !isS3 && strings.Contains(place, "://") {
			return fmt.Errorf("--captures: %q is neither a folder nor s3://BUCKET/PREFIX", place)
		}
	}
	return nil
}

// serveAPI answers the API until ctx ends.
func (f *apiFlags) serveAPI(ctx context.Context, n *node, l net.Listener) error {
	handler, err := f.service(n)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	hooks, err := f.webhooks(n, handler)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	if hooks != nil {
		group.Go(func() error { return hooks.Run(ctx) })
	}
	group.Go(func() error { return serveHTTP(ctx, l, api.Timeouts{}.Server(handler, n.log)) })
	return group.Wait()
}

// service puts the API together.
func (f *apiFlags) service(n *node) (*api.API, error) {
	d := n.data
	vod, err := f.vodKeys(d.folder)
	if err != nil {
		return nil, err
	}
	cfg := api.Config{
		Catalog: d.catalog, Actions: &actions{node: n, captures: f.Captures}, Keys: d.catalog, Idempotency: d.catalog,
		Objects: d.blobs, Presigner: f.presigner(d), PublicURL: strings.TrimSuffix(f.BaseURL, "/"), LinkKeys: vod,
		Metrics: n.meter.Handler(), Origins: f.Origins, Rate: f.Rate, Burst: f.Burst, Software: version, Log: n.log,
		Ready: []api.Check{
			{Name: "catalog", Run: func(ctx context.Context) error { _, err := d.catalog.CountJobs(ctx); return err }},
			{Name: "queue", Run: n.queue.Ping},
		},
	}
	if d.main.folder != nil || d.behind.folder != nil {
		signer, err := f.fileSigner(d.folder)
		if err != nil {
			return nil, err
		}
		cfg.FilesPath = filesPath
		cfg.Files = signed.NewHandler(signer, d.blobs, func(r *http.Request, err error) {
			n.log.Warn("an object could not be served", "path", r.URL.Path, "error", err.Error())
		})
	}
	return api.New(cfg)
}

// actions are what the API changes.
type actions struct {
	node     *node
	captures []string // what callers may name
}

var _ api.Actions = (*actions)(nil)

// Enqueue queues a capture for an app; see api.Actions.
func (a *actions) Enqueue(ctx context.Context, c api.Capture) (catalog.Job, error) {
	if !a.allowed(c.URI) {
		return catalog.Job{}, fmt.Errorf("uri: captures of this place are not processed for callers of the API: %w", catalog.ErrInvalid)
	}
	job, err := a.node.fetcher().NewJob(ctx, c.URI, stage.Options{Outputs: c.Outputs})
	if err != nil {
		return job, err
	}
	d := a.node.data
	owner, err := d.catalog.GiveRoom(ctx, job.RoomID, c.AppID)
	if err != nil {
		return job, err
	}
	if owner != c.AppID {
		return job, fmt.Errorf("room %q: %w", job.RoomID, api.ErrForbidden)
	}
	job.AppID = c.AppID
	job, created, err := d.catalog.AddJob(ctx, job, true)
	if err != nil {
		return job, err
	}
	if !created {
		owner, err := d.catalog.AppOfJob(ctx, job.ID)
		if err == nil && owner != c.AppID {
			err = fmt.Errorf("capture %q: %w", c.URI, api.ErrForbidden)
		}
		if err != nil {
			return catalog.Job{}, err
		}
	}
	a.node.dispatcher.Wake()
	return job, nil
}

// allowed reports whether callers may name a capture. Links are followed before, so that none leads elsewhere.
func (a *actions) allowed(uri string) bool {
	if bucket, key, isS3 := stage.SplitS3(uri); isS3 {
		return slices.ContainsFunc(a.captures, func(place string) bool {
			b, prefix, ok := stage.SplitS3(place)
			prefix = strings.TrimSuffix(prefix, "/")
			return ok && b == bucket && (prefix == "" || key == prefix || strings.HasPrefix(key, prefix+"/"))
		})
	}
	path, err := filepath.EvalSymlinks(stage.LocalPath(uri))
	if err != nil || !filepath.IsAbs(path) {
		return false
	}
	return slices.ContainsFunc(a.captures, func(place string) bool {
		root, err := filepath.Abs(place)
		if err == nil {
			root, err = filepath.EvalSymlinks(root)
		}
		if err != nil {
			return false
		}
		inside, err := filepath.Rel(root, path)
		return err == nil && filepath.IsLocal(inside)
	})
}

// Reprocess queues an asset to be made again; see api.Actions.
func (a *actions) Reprocess(ctx context.Context, r api.Reprocess) (catalog.Job, error) {
	d := a.node.data
	made, err := d.catalog.JobByID(ctx, r.Asset.JobID)
	if err != nil {
		return made, err
	}
	var change stage.Options
	if len(r.Composition) > 0 {
		if change.Outputs, err = json.Marshal(map[string]json.RawMessage{"composition": r.Composition}); err != nil {
			return made, fmt.Errorf("composition: %w", err)
		}
	}
	options, err := stage.Again([]catalog.Job{made}, change, []catalog.Asset{r.Asset})
	if err != nil {
		return made, err
	}
	job, err := a.node.fetcher().NewJob(ctx, made.CaptureURI, options)
	if err != nil {
		return job, err
	}
	if job.CaptureKey != made.CaptureKey {
		return job, fmt.Errorf("another capture lies where this one was: %w", catalog.ErrInvalid)
	}
	job.AppID = r.AppID
	if job, err = d.catalog.AddGeneration(ctx, job, true); err != nil {
		return job, err
	}
	a.node.dispatcher.Wake()
	return job, nil
}

// DeleteAsset deletes an asset; see api.Actions.
func (a *actions) DeleteAsset(ctx context.Context, id string) error {
	_, _, err := stage.Delete(ctx, a.node.data.catalog, a.node.data.blobs, id)
	if errors.Is(err, stage.ErrInMaking) {
		return fmt.Errorf("%w: %w", api.ErrWrongState, err)
	}
	return err
}

// httpGrace is how long requests in progress may go on when the server stops.
const httpGrace = 5 * time.Second

// serveHTTP answers requests until ctx ends.
func serveHTTP(ctx context.Context, l net.Listener, server *http.Server) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), httpGrace)
	defer stop()
	err := server.Shutdown(end)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-failed
	return err
}
