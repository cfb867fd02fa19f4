package stage_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/catalog/sqlstore"
	"rushes/pipeline/stage"
)

// errFault is what a call that is made to fail gives.
var errFault = errors.New("the line is down")

// faults makes the n-th call of a name fail.
type faults struct {
	mu    sync.Mutex
	calls []string // all calls so far
	name  string   // which to let fail, "" for none
	nth   int      // from 1
	often int      // how many calls fail from then on; zero is one
	after bool     // fail when the work is done already
	hook  func(name string)
}

// call notes a call. fail tells whether it is to fail, before or after its work.
func (f *faults) call(ctx context.Context, name string) (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hook != nil {
		f.hook(name)
	}
	if err := ctx.Err(); err != nil {
		return err, nil
	}
	f.calls = append(f.calls, name)
	n := 0
	for _, c := range f.calls {
		if c == name {
			n++
		}
	}
	if name != f.name || n < f.nth || n >= f.nth+max(f.often, 1) {
		return nil, nil
	}
	err := fmt.Errorf("%s: %w", name, errFault)
	if f.after {
		return nil, err
	}
	return err, nil
}

// heal lets all later calls work.
func (f *faults) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.name, f.hook = "", nil
}

// testCatalog is the catalog of a machine of one. It may fail.
type testCatalog struct {
	faults
	*sqlstore.Store
	rows  sync.Mutex
	noted []int // progress, as written
}

var _ stage.Catalog = (*testCatalog)(nil)

func newTestCatalog(t testing.TB) *testCatalog {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "catalog.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &testCatalog{Store: s}
}

// jobs gives all jobs, those that were made last first.
func (c *testCatalog) jobs() []catalog.Job {
	jobs, err := c.Store.ListJobs(context.Background(), catalog.JobFilter{})
	if err != nil {
		panic(err)
	}
	return jobs
}

func (c *testCatalog) job() catalog.Job { return c.jobs()[0] }

func (c *testCatalog) all() []catalog.Asset {
	assets, err := c.Store.ListAssets(context.Background(), catalog.Filter{})
	if err != nil {
		panic(err)
	}
	return assets
}

// failing runs the work of a call between its two ways to fail.
func failing[T any](ctx context.Context, f *faults, name string, work func() (T, error)) (out T, err error) {
	before, after := f.call(ctx, name)
	if before != nil {
		return out, before
	}
	out, err = work()
	return out, cmp.Or(after, err)
}

func (c *testCatalog) AddJob(ctx context.Context, job catalog.Job, dispatch bool) (out catalog.Job, created bool, err error) {
	out, err = failing(ctx, &c.faults, "AddJob", func() (catalog.Job, error) {
		out, created, err = c.Store.AddJob(ctx, job, dispatch)
		return out, err
	})
	return out, created, err
}

func (c *testCatalog) SeizeJob(ctx context.Context, id, worker string) (catalog.Job, error) {
	return failing(ctx, &c.faults, "SeizeJob", func() (catalog.Job, error) { return c.Store.SeizeJob(ctx, id, worker) })
}

func (c *testCatalog) UpdateJob(ctx context.Context, claim catalog.Claim, stageName string, permille int) error {
	_, err := failing(ctx, &c.faults, "UpdateJob", func() (any, error) {
		c.rows.Lock()
		defer c.rows.Unlock()
		c.noted = append(c.noted, permille)
		return nil, c.Store.UpdateJob(ctx, claim, stageName, permille)
	})
	return err
}

func (c *testCatalog) EndAttempt(ctx context.Context, claim catalog.Claim, end catalog.Attempt) (catalog.Job, error) {
	return failing(ctx, &c.faults, "EndAttempt", func() (catalog.Job, error) { return c.Store.EndAttempt(ctx, claim, end) })
}

func (c *testCatalog) ReservePlace(ctx context.Context, claim catalog.Claim, key, place string) error {
	_, err := failing(ctx, &c.faults, "ReservePlace", func() (any, error) { return nil, c.Store.ReservePlace(ctx, claim, key, place) })
	return err
}

func (c *testCatalog) AssetByKey(ctx context.Context, key string) (catalog.Asset, error) {
	return failing(ctx, &c.faults, "AssetByKey", func() (catalog.Asset, error) { return c.Store.AssetByKey(ctx, key) })
}

func (c *testCatalog) RegisterAssets(ctx context.Context, claim catalog.Claim, assets []catalog.Asset) ([]catalog.Asset, error) {
	return failing(ctx, &c.faults, "RegisterAssets", func() ([]catalog.Asset, error) { return c.Store.RegisterAssets(ctx, claim, assets) })
}

// memoryStore is a blob.Store in memory. It may fail.
type memoryStore struct {
	faults
	blobs map[string][]byte
	short bool // Put takes half of the body and says nothing
}

var _ blob.Store = (*memoryStore)(nil)

func newMemoryStore() *memoryStore { return &memoryStore{blobs: map[string][]byte{}} }

func (m *memoryStore) bytes(key string) []byte { return m.blobs[key] }
func (m *memoryStore) keys() []string          { return slices.Sorted(maps.Keys(m.blobs)) }

func (m *memoryStore) Put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) error {
	before, after := m.call(ctx, "Put")
	if before != nil {
		return before
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if m.short {
		text = text[:len(text)/2]
	}
	if !m.short && o.Size != blob.UnknownSize && o.Size != int64(len(text)) {
		return blob.ErrSizeMismatch
	}
	m.blobs[key] = text
	return after
}

func (m *memoryStore) Get(ctx context.Context, key string, _ blob.Range) (io.ReadCloser, error) {
	before, _ := m.call(ctx, "Get")
	return io.NopCloser(bytes.NewReader(m.blobs[key])), before
}

func (m *memoryStore) Stat(ctx context.Context, key string) (blob.Info, error) {
	before, after := m.call(ctx, "Stat")
	text, ok := m.blobs[key]
	if err := cmp.Or(before, after); err != nil {
		return blob.Info{}, err
	}
	if !ok {
		return blob.Info{}, blob.ErrNotFound
	}
	return blob.Info{Key: key, Size: int64(len(text))}, nil
}

func (m *memoryStore) List(_ context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for _, key := range m.keys() {
			if strings.HasPrefix(key, prefix) && !yield(blob.Info{Key: key, Size: int64(len(m.blobs[key]))}, nil) {
				return
			}
		}
	}
}

func (m *memoryStore) Delete(ctx context.Context, key string) error {
	before, after := m.call(ctx, "Delete")
	if before == nil {
		delete(m.blobs, key)
	}
	return cmp.Or(before, after)
}
