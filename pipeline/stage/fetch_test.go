package stage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/catalog/blob/dir"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// bucket is a folder store in the place of S3, which counts what is read and breaks when it is told to.
type bucket struct {
	*dir.Store
	root   string
	gets   atomic.Int64
	broken atomic.Int64 // from which Get on all fail; 0 is never
}

var errCut = errors.New("the line is cut")

func (b *bucket) Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	if n := b.gets.Add(1); b.broken.Load() > 0 && n >= b.broken.Load() {
		return nil, errCut
	}
	return b.Store.Get(ctx, key, r)
}

func (b *bucket) Close() error { return nil } // shared by all that open it

// newBucket makes a bucket and what fetches from it.
func newBucket(t *testing.T) (*bucket, *stage.Fetcher) {
	t.Helper()
	b := &bucket{root: t.TempDir()}
	var err error
	b.Store, err = dir.Open(b.root)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Store.Close()) })
	return b, &stage.Fetcher{Open: func(_ context.Context, name string) (stage.Remote, error) {
		require.Equal(t, "bucket", name)
		return b, nil
	}}
}

// put stores all files of a folder under a prefix.
func (b *bucket) put(t *testing.T, folder, prefix string) {
	t.Helper()
	require.NoError(t, os.CopyFS(filepath.Join(b.root, filepath.FromSlash(prefix)), os.DirFS(folder)))
}

func (b *bucket) write(t *testing.T, key, text string) {
	t.Helper()
	require.NoError(t, b.Put(t.Context(), key, strings.NewReader(text), blob.PutOptions{Size: int64(len(text))}))
}

func openJobFolder(t *testing.T) *pipeline.Scratch {
	t.Helper()
	s, err := pipeline.OpenScratch(t.TempDir(), "0123456789abcdef01234567")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// TestFetchForms brings the same capture by each form of its address, and makes the same job of it.
func TestFetchForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	b, f := newBucket(t)
	b.put(t, w.capture.Name, "in/call")
	b.write(t, "in/not-of-the-capture.txt", "x")
	media := "recording-1.mp4"
	for name := range w.capture.Manifest.Paths() {
		media = name
	}
	for _, uri := range []string{"s3://bucket/in/call/", "s3://bucket/in/call", "s3://bucket/in/call/capture.json", "s3://bucket/in/call/" + media} {
		scratch := openJobFolder(t)
		path, err := f.Fetch(t.Context(), uri, scratch)
		require.NoError(t, err)
		require.False(t, strings.HasPrefix(path, scratch.Path()+string(filepath.Separator)), "where a child could write: %s", path)
		c, err := capture.Open(t.Context(), path)
		require.NoError(t, err)
		require.Empty(t, c.Defects)
		for name := range c.Manifest.Paths() {
			want, err := os.ReadFile(filepath.Join(w.capture.Name, name))
			require.NoError(t, err)
			got, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		job, err := f.NewJob(t.Context(), uri, stage.Options{})
		require.NoError(t, err)
		require.Equal(t, c.Key(), job.CaptureKey, "%s: known by the same key before it was brought", uri)
		require.Equal(t, uri, job.CaptureURI)
		require.Equal(t, c.Manifest.RoomID, job.RoomID)
		require.Equal(t, c.Manifest.StartedAt.Time, job.StartedAt)
		require.NoError(t, c.Close())
	}
}

// TestFetchGoesOn interrupts fetching, and wants the next call to bring only what is missing or has changed.
func TestFetchGoesOn(t *testing.T) {
	t.Parallel()
	b, f := newBucket(t)
	var files []string
	for n := range 9 {
		files = append(files, fmt.Sprintf(`{"path":"part/%d.webm","format":"webm"}`, n))
		b.write(t, fmt.Sprintf("c/part/%d.webm", n), strings.Repeat("x", n))
	}
	b.write(t, "c/capture.json", `{"version":1,"source":"beam","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z","files":[`+strings.Join(files, ",")+`]}`)
	scratch := openJobFolder(t)
	fetch := func() (int64, error) {
		before := b.gets.Load()
		_, err := f.Fetch(t.Context(), "s3://bucket/c/", scratch)
		return b.gets.Load() - before, err
	}
	b.broken.Store(6)
	_, err := fetch()
	require.ErrorIs(t, err, errCut)
	require.Equal(t, pipeline.KindTransient, pipeline.KindOf(err))
	b.broken.Store(0)
	got, err := fetch()
	require.NoError(t, err)
	require.Less(t, got, int64(10), "some were there: %d", got)
	got, err = fetch()
	require.NoError(t, err)
	require.EqualValues(t, 1, got, "only the manifest is read again")
	b.write(t, "c/part/3.webm", "longer than it was")
	require.NoError(t, b.Delete(t.Context(), "c/part/4.webm"))
	got, err = fetch()
	require.NoError(t, err)
	require.EqualValues(t, 2, got)
	folder := scratch.Path() + ".capture"
	text, err := os.ReadFile(filepath.Join(folder, "part", "3.webm"))
	require.NoError(t, err)
	require.Equal(t, "longer than it was", string(text))
	require.NoFileExists(t, filepath.Join(folder, "part", "4.webm"))
	info, err := b.Stat(t.Context(), "c/part/5.webm")
	require.NoError(t, err)
	here, err := os.Stat(filepath.Join(folder, "part", "5.webm"))
	require.NoError(t, err)
	require.True(t, info.ModTime.Equal(here.ModTime()), "the time of the object is kept")
}

// TestFetchRefuses holds addresses and manifests that cannot be used to an error of bad input, with nothing brought.
func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	manifest := func(paths ...string) string {
		for i, p := range paths {
			paths[i] = fmt.Sprintf(`{"path":%q,"format":"webm"}`, p)
		}
		return `{"version":1,"source":"beam","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z","files":[` + strings.Join(paths, ",") + `]}`
	}
	for name, tc := range map[string]struct {
		uri, manifest, want string
		change              func(*stage.Fetcher)
	}{
		"no bucket":      {uri: "s3://", want: "no bucket"},
		"no bucket, key": {uri: "s3:///a", want: "no bucket"},
		"nothing there":  {uri: "s3://bucket/elsewhere/", want: "no capture.json"},
		"no manifest":    {uri: "s3://bucket/c/other.json", want: "does not exist"},
		"dots":           {uri: "s3://bucket/c/../secret/", want: "not a usable address"},
		"no json":        {manifest: "{", want: "s3://bucket/c/"},
		"leads out":      {manifest: manifest("../secret.webm"), want: "files[0].path"},
		"absolute":       {manifest: manifest("/etc/passwd"), want: "files[0].path"},
		"too many":       {manifest: manifest("1.webm", "2.webm"), want: "more than 2 files", change: func(f *stage.Fetcher) { f.MostFiles = 2 }},
		"too large":      {manifest: manifest("1.webm"), want: "more than 100 bytes", change: func(f *stage.Fetcher) { f.MostBytes = 100 }},
		"no room": {manifest: manifest("1.webm"), want: "bytes free", change: func(f *stage.Fetcher) {
			f.Disk = pipeline.DiskRule{Path: "/", Reserve: -1, Factor: 3, Free: func(string) (int64, error) { return 10, nil }}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, f := newBucket(t)
			if tc.uri == "" {
				tc.uri = "s3://bucket/c/"
			}
			if tc.manifest != "" {
				b.write(t, "c/capture.json", tc.manifest)
				b.write(t, "c/1.webm", "some bytes")
			}
			b.write(t, "secret.webm", "secret")
			if tc.change != nil {
				tc.change(f)
			}
			scratch := openJobFolder(t)
			_, err := f.Fetch(t.Context(), tc.uri, scratch)
			require.ErrorContains(t, err, tc.want)
			if name != "no room" {
				require.Equal(t, pipeline.KindBadInput, pipeline.KindOf(err), "%v", err)
			}
			entries, err := os.ReadDir(scratch.Path() + ".capture")
			require.True(t, err != nil || len(entries) == 0)
		})
	}
}

// TestFetchMissing leaves out what is not in the bucket: who opens the capture says so. A live stream's playlist
// brings what lies beside it.
func TestFetchMissing(t *testing.T) {
	t.Parallel()
	b, f := newBucket(t)
	b.write(t, "live/capture.json", `{"version":1,"source":"live-stream","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z","layers":[
		{"name":"720p","playlist":"720p/index.m3u8"},{"name":"360p","playlist":"360p/index.m3u8","segments":[{"path":"360p/1.m4s","duration":2},{"path":".hidden.m4s","duration":2}]}]}`)
	for _, key := range []string{"720p/index.m3u8", "720p/1.m4s", "720p/init.mp4", "360p/1.m4s", "360p/unnamed.m4s"} {
		b.write(t, "live/"+key, key)
	}
	scratch := openJobFolder(t)
	path, err := f.Fetch(t.Context(), "s3://bucket/live/", scratch)
	require.NoError(t, err)
	var have []string
	require.NoError(t, filepath.WalkDir(filepath.Dir(path), func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			p, err = filepath.Rel(filepath.Dir(path), p)
			have = append(have, p)
		}
		return err
	}))
	require.ElementsMatch(t, []string{"capture.json", "720p/index.m3u8", "720p/1.m4s", "720p/init.mp4", "360p/1.m4s"}, have)
}

// TestFetchedJob takes a capture of a bucket through a worker's attempt, and one whose bytes stay away through one that
// is tried again. What was brought goes with the job.
func TestFetchedJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	b, f := newBucket(t)
	b.put(t, w.capture.Name, "c")
	job, err := f.NewJob(t.Context(), "s3://bucket/c", stage.Options{})
	require.NoError(t, err)
	job.MaxAttempts = 3
	job, _, err = w.catalog.Store.AddJob(t.Context(), job, true)
	require.NoError(t, err)
	job, err = w.catalog.Store.ClaimJob(t.Context(), job.ID, "test")
	require.NoError(t, err)
	work := stage.Work(stage.WorkerConfig{Config: w.cfg, Fetch: f.Fetch, Settle: time.Second, Disk: pipeline.DiskRule{Path: t.TempDir(), Reserve: -1},
		Steps: func(catalog.Job) stage.Steps { return plainSteps{} }})
	claim := catalog.Claim{JobID: job.ID, Fence: job.Fence}
	b.broken.Store(b.gets.Load() + 2)
	end := work(t.Context(), job, claim)
	require.Equal(t, catalog.EndRetry, end.Ending)
	require.Contains(t, end.Failure.Message, "the line is cut")
	require.DirExists(t, filepath.Join(w.cfg.Scratch, job.ID+".capture"), "what was brought is kept")
	b.broken.Store(0)
	end = work(t.Context(), job, claim)
	require.Equal(t, catalog.EndCompleted, end.Ending, "%+v", end.Failure)
	require.Empty(t, end.Defects)
	w.requireHonest(t)
	require.Len(t, w.catalog.all(), 1)
	entries, err := os.ReadDir(w.cfg.Scratch)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// plainSteps runs steps in this process, as a child would.
type plainSteps struct{}

func (plainSteps) Step(ctx context.Context, req stage.StepRequest, report func(stage.StepReport)) (stage.StepResult, error) {
	return stage.RunStep(ctx, req, report)
}
