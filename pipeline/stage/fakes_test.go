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
	"slices"
	"strings"
	"sync"

	"rushes/catalog"
	"rushes/catalog/blob"
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
	if name != f.name || n != f.nth {
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

// memoryCatalog keeps the rules of the catalog in memory. It may fail.
type memoryCatalog struct {
	faults
	rows   sync.Mutex
	jobs   []catalog.Job
	assets []catalog.Asset
	noted  []int // progress, as written
}

var _ stage.Catalog = (*memoryCatalog)(nil)

func newMemoryCatalog() *memoryCatalog { return &memoryCatalog{} }

func (m *memoryCatalog) job() catalog.Job       { return m.jobs[0] }
func (m *memoryCatalog) all() []catalog.Asset   { return slices.Clone(m.assets) }
func (m *memoryCatalog) newID(kind byte) string { return fmt.Sprintf("%02x%022d", kind, len(m.assets)) }

// do runs the work of a call between its two ways to fail.
func (m *memoryCatalog) do(ctx context.Context, name string, work func() error) error {
	before, after := m.call(ctx, name)
	if before != nil {
		return before
	}
	m.rows.Lock()
	defer m.rows.Unlock()
	err := work()
	return cmp.Or(after, err)
}

func (m *memoryCatalog) BeginJob(ctx context.Context, job catalog.Job) (out catalog.Job, err error) {
	err = m.do(ctx, "BeginJob", func() error {
		i := slices.IndexFunc(m.jobs, func(j catalog.Job) bool { return j.CaptureKey == job.CaptureKey })
		if i < 0 {
			job.ID = m.newID(0xa0)
			m.jobs, i = append(m.jobs, job), len(m.jobs)
		}
		j := &m.jobs[i]
		j.State, j.Error, j.Progress, j.Stage = catalog.JobRunning, nil, 0, ""
		j.Attempts++
		out = *j
		return nil
	})
	return out, err
}

func (m *memoryCatalog) UpdateJob(ctx context.Context, id, stageName string, permille int) error {
	return m.do(ctx, "UpdateJob", func() error {
		j := &m.jobs[0]
		if j.ID != id {
			return catalog.ErrNotFound
		}
		j.Stage, j.Progress, m.noted = stageName, permille, append(m.noted, permille)
		return nil
	})
}

func (m *memoryCatalog) FinishJob(ctx context.Context, id string, state catalog.JobState, failure *catalog.AssetError, defects []catalog.Defect) error {
	return m.do(ctx, "FinishJob", func() error {
		j := &m.jobs[0]
		if j.ID != id || (failure == nil) != (state == catalog.JobCompleted) {
			return catalog.ErrInvalid
		}
		j.State, j.Error, j.Defects = state, failure, defects
		return nil
	})
}

func (m *memoryCatalog) JobByID(ctx context.Context, id string) (out catalog.Job, err error) {
	err = m.do(ctx, "JobByID", func() error {
		if out = m.jobs[0]; out.ID != id {
			return catalog.ErrNotFound
		}
		return nil
	})
	return out, err
}

func (m *memoryCatalog) ListAssets(ctx context.Context, f catalog.Filter) (out []catalog.Asset, err error) {
	err = m.do(ctx, "ListAssets", func() error {
		for _, a := range m.assets {
			if a.RoomID == f.RoomID && a.Type == f.Type && f.After == "" {
				out = append(out, a)
			}
		}
		return nil
	})
	return out, err
}

func (m *memoryCatalog) AssetByKey(ctx context.Context, key string) (out catalog.Asset, err error) {
	err = m.do(ctx, "AssetByKey", func() error {
		i := slices.IndexFunc(m.assets, func(a catalog.Asset) bool { return a.Key == key })
		if i < 0 {
			return catalog.ErrNotFound
		}
		out = m.assets[i]
		return nil
	})
	return out, err
}

func (m *memoryCatalog) RegisterAssets(ctx context.Context, jobID string, assets []catalog.Asset) (out []catalog.Asset, err error) {
	err = m.do(ctx, "RegisterAssets", func() error {
		for _, a := range assets {
			if err := a.Validate(); err != nil {
				return err
			}
			a.JobID = jobID
			i := slices.IndexFunc(m.assets, func(b catalog.Asset) bool { return a.Key == b.Key })
			if i < 0 {
				a.ID = m.newID(0xb0)
				m.assets, i = append(m.assets, a), len(m.assets)
			}
			m.assets[i], _ = m.assets[i].Settle(a)
			out = append(out, m.assets[i])
		}
		return nil
	})
	return out, err
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
