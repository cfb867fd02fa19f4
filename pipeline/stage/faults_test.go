package stage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/catalog/blob/dir"
	"rushes/catalog/sqlstore"
	"rushes/fixtures"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// unreliable is a store of which a share of all calls fails, before or after their work, and reads in the middle.
type unreliable struct {
	blob.Store
	share  atomic.Int64 // of 100
	failed atomic.Int64
	mu     sync.Mutex
	dice   *rand.Rand
}

// fails throws the dice: whether to fail, and whether only after the work.
func (u *unreliable) fails() (before, after error) {
	u.mu.Lock()
	throw, late := u.dice.Int64N(100), u.dice.IntN(2) == 0
	u.mu.Unlock()
	if throw >= u.share.Load() {
		return nil, nil
	}
	u.failed.Add(1)
	if late {
		return nil, errFault
	}
	return errFault, nil
}

// Put may store, or not, and fail.
func (u *unreliable) Put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) error {
	before, after := u.fails()
	if before != nil {
		return before
	}
	return errors.Join(u.Store.Put(ctx, key, body, o), after)
}

// Get may fail at once or at the end of the body.
func (u *unreliable) Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	before, after := u.fails()
	if before != nil {
		return nil, before
	}
	body, err := u.Store.Get(ctx, key, r)
	if err != nil || after == nil {
		return body, err
	}
	return tornBody{body}, nil
}

// tornBody ends with an error.
type tornBody struct{ io.ReadCloser }

// Read reads, and fails where the end is.
func (b tornBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		err = errFault
	}
	return n, err
}

// Stat may fail.
func (u *unreliable) Stat(ctx context.Context, key string) (blob.Info, error) {
	if before, after := u.fails(); before != nil || after != nil {
		return blob.Info{}, errors.Join(before, after)
	}
	return u.Store.Stat(ctx, key)
}

// List may fail at once or at the end.
func (u *unreliable) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		before, after := u.fails()
		if before == nil {
			for info, err := range u.Store.List(ctx, prefix) {
				if !yield(info, err) {
					return
				}
			}
		}
		if err := errors.Join(before, after); err != nil {
			yield(blob.Info{}, err)
		}
	}
}

// Delete may delete, or not, and fail.
func (u *unreliable) Delete(ctx context.Context, key string) error {
	before, after := u.fails()
	if before != nil {
		return before
	}
	return errors.Join(u.Store.Delete(ctx, key), after)
}

// inProcess runs steps in this process, as a child would. hook may make them fail; nil does not.
type inProcess struct {
	hook func(req stage.StepRequest) error
}

// Step runs one step.
func (s inProcess) Step(ctx context.Context, req stage.StepRequest, report func(stage.StepReport)) (stage.StepResult, error) {
	if s.hook != nil {
		if err := s.hook(req); err != nil {
			return stage.StepResult{}, err
		}
	}
	return stage.RunStep(ctx, req, report)
}

// plant is a worker with a catalog and a store, and somebody who shows it what is queued.
type plant struct {
	*testing.T
	catalog *sqlstore.Store
	blobs   blob.Store
	store   *unreliable
	scratch string
	steps   inProcess
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	folder := t.TempDir()
	c, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(folder, "catalog.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	blobs, err := dir.Open(filepath.Join(folder, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, blobs.Close()) })
	return &plant{T: t, catalog: c, blobs: blobs, scratch: filepath.Join(folder, "scratch"),
		store: &unreliable{Store: blobs, dice: rand.New(rand.NewPCG(30, 100))}}
}

// work starts the worker. It ends with the test, or when the returned function is called.
func (p *plant) work() (stop func()) {
	p.Helper()
	require.NoError(p, os.MkdirAll(p.scratch, 0o755))
	cfg := stage.WorkerConfig{
		Config: stage.Config{Catalog: p.catalog, Blobs: p.store, Scratch: p.scratch, Software: "test", Settings: stage.Settings{Chunk: time.Second}},
		Steps:  func(catalog.Job) stage.Steps { return p.steps },
		FanOut: 4 * time.Second, Disk: pipeline.DiskRule{Path: p.scratch, Reserve: 1}, Backoff: pipeline.Backoff{Base: time.Millisecond},
	}
	cfg.Video.Preset = "ultrafast"
	w, err := pipeline.NewWorker(pipeline.WorkerConfig{Jobs: p.catalog, Run: stage.Work(cfg), Admission: pipeline.NewAdmission(pipeline.Capacity{CPU: 4000, Memory: 64 << 30})})
	require.NoError(p, err)
	ctx, cancel := context.WithCancel(p.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			queued, err := p.catalog.ListJobs(ctx, catalog.JobFilter{State: catalog.JobQueued})
			for _, j := range queued {
				if err == nil && time.Until(j.RunAt) <= 0 {
					w.Look(ctx, j.ID)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return sync.OnceFunc(func() {
		cancel()
		<-over
		require.NoError(p, w.Stop(context.Background()))
	})
}

// long is a call that is made in parts.
func long(t *testing.T, assets ...string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "capture")
	_, err := fixtures.SFU(t.Context(), folder, fixtures.SFUSpec{Tracks: person(1, 0, 12*time.Second), Outputs: map[string]any{
		"assets": assets, "composition": map[string]any{"width": 320, "height": 180, "fps": 10}}})
	require.NoError(t, err)
	return folder
}

// again queues a capture as if it were the n-th session.
func (p *plant) again(folder string, n int) catalog.Job {
	p.Helper()
	job, err := stage.NewJob(p.Context(), folder, stage.Options{})
	require.NoError(p, err)
	job.Generation, job.MaxAttempts = n, 50
	job, _, err = p.catalog.AddJob(p.Context(), job, true)
	require.NoError(p, err)
	return job
}

func (p *plant) over(jobs ...catalog.Job) (all []catalog.Job) {
	p.Helper()
	require.Eventually(p, func() bool {
		all = nil
		for _, j := range jobs {
			now, err := p.catalog.JobByID(p.Context(), j.ID)
			if err != nil || !now.State.Final() {
				return false
			}
			all = append(all, now)
		}
		return true
	}, 2*time.Minute, 20*time.Millisecond)
	return all
}

// requireClean wants exactly the bytes of all assets, also of replaced ones, in the store, after the chores were done.
func (p *plant) requireClean() {
	p.Helper()
	require.NoError(p, stage.CleanStrays(p.Context(), p.catalog, p.blobs))
	require.NoError(p, stage.CleanShared(p.Context(), p.catalog, p.blobs))
	require.NoError(p, stage.CleanScratch(p.Context(), p.catalog, p.scratch))
	assets, err := p.catalog.ListAssets(p.Context(), catalog.Filter{})
	require.NoError(p, err)
	replaced, err := p.catalog.ListAssets(p.Context(), catalog.Filter{Superseded: true})
	require.NoError(p, err)
	for _, a := range replaced {
		if a.SupersededBy != "" {
			assets = append(assets, a)
		}
	}
	var want, have []string
	for _, a := range assets {
		if a.Status != catalog.AssetCompleted {
			continue
		}
		want = append(append(want, a.Path), a.Thumbnails...)
		info, err := p.blobs.Stat(p.Context(), a.Path)
		require.NoError(p, err)
		require.Equal(p, a.Size, info.Size)
	}
	for info, err := range p.blobs.List(p.Context(), "") {
		require.NoError(p, err)
		have = append(have, info.Key)
	}
	slices.Sort(want)
	slices.Sort(have)
	require.Equal(p, want, have)
	left, err := os.ReadDir(p.scratch)
	require.NoError(p, err)
	require.Empty(p, left)
}

// TestUnreliableStore lets 30 % of the calls of the store fail, then all of them for a while: every job is completed,
// once, and what is left behind the chores take away.
func TestUnreliableStore(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.store.share.Store(30)
	record := filepath.Join(t.TempDir(), "capture")
	spec := encoding()
	require.NoError(t, fixtures.Beam(t.Context(), record, spec))
	talk := long(t, capture.AssetTrack, capture.AssetRoomCompositeLegacy)
	stop := p.work()
	defer stop()
	var jobs []catalog.Job
	for n := range 10 {
		jobs = append(jobs, p.again(record, n), p.again(talk, n))
	}
	for _, j := range p.over(jobs...) {
		require.Equal(t, catalog.JobCompleted, j.State, "%+v", j.Error)
		p.requireOnce(j)
	}
	p.store.share.Store(100)
	away := p.again(record, 100)
	require.Eventually(t, func() bool {
		j, err := p.catalog.JobByID(t.Context(), away.ID)
		return err == nil && j.State == catalog.JobQueued && j.Attempts > 0 && j.Error != nil && strings.Contains(j.Error.Message, errFault.Error())
	}, time.Minute, time.Millisecond, "it says what is wrong")
	p.store.share.Store(0)
	require.Equal(t, catalog.JobCompleted, p.over(away)[0].State)
	stop()
	t.Logf("%d calls failed", p.store.failed.Load())
	p.requireClean()
}

// requireOnce wants one attempt at a job and at each of its parts to have completed it.
func (p *plant) requireOnce(j catalog.Job) {
	p.Helper()
	parts, err := p.catalog.ListJobs(p.Context(), catalog.JobFilter{ParentID: j.ID})
	require.NoError(p, err)
	for _, x := range append(parts, j) {
		log, err := p.catalog.Attempts(p.Context(), x.ID)
		require.NoError(p, err)
		completed := 0
		for _, r := range log {
			if r.Ending == catalog.EndCompleted {
				completed++
			}
		}
		require.Equal(p, 1, completed, "%s %s: %+v", x.Kind, x.ID, log)
	}
}

// TestFailedPartsAgain fails a part for good, and with it the composite. Asked for again, it is made: neither the
// failure of back then nor the parts that were finished, and cleaned away, count.
func TestFailedPartsAgain(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	var bad atomic.Bool
	bad.Store(true)
	p.steps.hook = func(req stage.StepRequest) error {
		if bad.Load() && slices.Contains(req.Units, "composite.chunk.0001") {
			return pipeline.Permanent(fmt.Errorf("the decoder is broken"))
		}
		return nil
	}
	stop := p.work()
	defer stop()
	job := p.over(p.again(long(t, capture.AssetRoomCompositeLegacy), 0))[0]
	require.Equal(t, catalog.JobFailed, job.State)
	require.Contains(t, job.Error.Message, "the decoder is broken")
	bad.Store(false)
	job, err := p.catalog.RetryJob(t.Context(), job.ID)
	require.NoError(t, err)
	job = p.over(job)[0]
	require.Equal(t, catalog.JobCompleted, job.State, "%+v", job.Error)
	stop()
	p.requireClean()
}
