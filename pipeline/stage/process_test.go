package stage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/fixtures"
	"rushes/pipeline"
)

// TestEveryCallFails lets each call to the catalog and to the store fail, before and after its work. No asset is ever
// registered without its bytes, the error is one that a repetition may heal, and it does.
func TestEveryCallFails(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AddJob", "SeizeJob", "AssetByKey", "ReservePlace", "RegisterAssets", "EndAttempt", "Put", "Put 2"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s after %t", name, after), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, copying())
				f := &w.catalog.faults
				f.name, f.nth, f.after = name, 1, after
				switch name {
				case "Put", "Put 2":
					f.name = ""
					f = &w.blobs.faults
					f.name, f.nth, f.after, f.often = "Put", 1, after, tooOften
					if name == "Put 2" { // the thumbnail
						f.nth = 2
					}
				}
				out, err := w.process(t.Context())
				require.ErrorIs(t, err, errFault)
				require.Equal(t, pipeline.KindTransient, pipeline.KindOf(err))
				w.requireHonest(t)
				if name != "RegisterAssets" && name != "EndAttempt" {
					require.Empty(t, w.catalog.all())
					require.Empty(t, out.Assets)
				}
				switch {
				case name == "AddJob" && !after:
					require.Empty(t, w.catalog.jobs())
				case name == "AddJob", name == "SeizeJob" && !after:
					require.Equal(t, catalog.JobQueued, w.catalog.job().State)
				case name == "SeizeJob", name == "EndAttempt" && !after:
					require.Equal(t, catalog.JobRunning, w.catalog.job().State)
				case name == "EndAttempt":
					require.Equal(t, catalog.JobCompleted, w.catalog.job().State)
				default:
					require.Equal(t, catalog.JobFailed, w.catalog.job().State)
					require.Contains(t, w.catalog.job().Error.Message, "the line is down")
				}
				w.catalog.heal()
				w.blobs.heal()
				again, err := w.process(t.Context())
				w.requireDone(t, again, err)
			})
		}
	}
}

// tooOften is more calls than are tried again.
const tooOften = 20

// TestStoreStumbles lets every call of the store fail now and then: the attempt goes on.
func TestStoreStumbles(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		w := newWorld(t, copying())
		w.blobs.name, w.blobs.nth, w.blobs.often, w.blobs.after = "Put", 1, 2, after
		out, err := w.process(t.Context())
		w.requireDone(t, out, err)
	}
}

// TestStoreOnRepeat lets the look for the bytes of an asset fail that is there already.
func TestStoreOnRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	out, err := w.process(t.Context())
	w.requireDone(t, out, err)
	w.blobs.name, w.blobs.nth = "Stat", 1
	w.blobs.calls = nil
	_, err = w.process(t.Context())
	require.ErrorIs(t, err, errFault)
	require.Equal(t, catalog.JobFailed, w.catalog.job().State)
	again, err := w.process(t.Context())
	w.requireDone(t, again, err)
	require.Equal(t, out.Assets, again.Assets)
	require.NotContains(t, w.blobs.calls, "Put", "what is there is not made again")
}

// TestProgressNotWritten shows that a catalog that cannot take progress ends no job.
func TestProgressNotWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	w.catalog.name, w.catalog.nth = "UpdateJob", 1
	out, err := w.process(t.Context())
	w.requireDone(t, out, err)
	require.True(t, slices.IsSorted(w.catalog.noted), "%v", w.catalog.noted)
}

// TestResume shows that what is rendered is not rendered again after the store was down.
func TestResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, encoding())
	w.blobs.name, w.blobs.nth, w.blobs.often = "Put", 1, tooOften
	_, err := w.process(t.Context())
	require.ErrorIs(t, err, errFault)
	kept, err := filepath.Glob(filepath.Join(w.cfg.Scratch, "*", "*", "composite.mp4"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	watch := &watcher{}
	w.cfg.Observer = watch
	w.blobs.heal()
	out, err := w.process(t.Context())
	w.requireDone(t, out, err)
	require.Empty(t, watch.progress, "it was rendered again")

	// Another quality is another file.
	w = newWorld(t, encoding())
	w.blobs.name, w.blobs.nth, w.blobs.often = "Put", 1, tooOften
	_, err = w.process(t.Context())
	require.ErrorIs(t, err, errFault)
	w.blobs.heal()
	w.cfg.Video.CRF, w.cfg.Observer = 40, watch
	out, err = w.process(t.Context())
	w.requireDone(t, out, err)
	require.NotEmpty(t, watch.progress)
}

// TestResumeWithMore shows that a file which comes late is not left out of what is taken up again.
func TestResumeWithMore(t *testing.T) {
	t.Parallel()
	half := 500 * time.Millisecond
	spec := copying()
	spec.Parts = []fixtures.BeamPart{{Interval: fixtures.Interval{To: half}}, {Interval: fixtures.Interval{From: half, To: 2 * half}}}
	w := newWorld(t, spec)
	late := filepath.Join(w.capture.Name, "recording-2.mp4")
	require.NoError(t, os.Rename(late, late+".late"))
	w.blobs.name, w.blobs.nth, w.blobs.often = "Put", 1, tooOften
	_, err := w.process(t.Context())
	require.ErrorIs(t, err, errFault)
	require.NoError(t, os.Rename(late+".late", late))
	w.blobs.heal()
	out, err := w.process(t.Context())
	w.requireDone(t, out, err)
	require.InDelta(t, time.Second, out.Assets[0].Duration, float64(70*time.Millisecond))
}

// watcher keeps what an observer is told.
type watcher struct {
	started, done []string
	progress      []pipeline.Progress
	results       []pipeline.StageResult
	onStart       func(stage string)
	onProgress    func()
}

func (w *watcher) StageStarted(stage string, index, total int) {
	w.started = append(w.started, fmt.Sprintf("%d/%d %s", index+1, total, stage))
	if w.onStart != nil {
		w.onStart(stage)
	}
}

func (w *watcher) Progress(_ string, p pipeline.Progress) {
	w.progress = append(w.progress, p)
	if w.onProgress != nil {
		w.onProgress()
	}
}

func (w *watcher) StageDone(stage string, r pipeline.StageResult) {
	w.done, w.results = append(w.done, stage), append(w.results, r)
}

// TestObserver follows jobs to their end: every stage, and progress that only ever grows, also where copying is
// given up in the middle.
func TestObserver(t *testing.T) {
	t.Parallel()
	mixed := copying()
	half := 500 * time.Millisecond
	other := fixtures.Matroska("libopus")
	mixed.Parts = []fixtures.BeamPart{{Interval: fixtures.Interval{To: half}}, {Interval: fixtures.Interval{From: half, To: 2 * half}, Record: &other}}
	for name, spec := range map[string]fixtures.BeamSpec{"copied": copying(), "encoded": encoding(), "begun again": mixed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, watch := newWorld(t, spec), &watcher{}
			w.cfg.Observer = watch
			out, err := w.process(t.Context())
			w.requireDone(t, out, err)
			require.Equal(t, []string{"1/5 open", "2/5 render", "3/5 thumbnails", "4/5 publish", "5/5 register"}, watch.started)
			require.Equal(t, []string{"open", "render", "thumbnails", "publish", "register"}, watch.done)
			require.NotEmpty(t, watch.progress)
			last := pipeline.Progress{}
			for _, p := range watch.progress {
				require.GreaterOrEqual(t, p.Done, last.Done)
				require.LessOrEqual(t, p.Done, p.Total)
				require.Positive(t, p.Total)
				last = p
			}
			require.Equal(t, last.Total, last.Done)
			require.Equal(t, out.Assets[0].Duration, last.Media)
			require.Equal(t, catalog.JobCompleted, w.catalog.job().State)
		})
	}
}

// TestInterrupted cancels the context when each stage begins, and in the middle of rendering: nothing is
// registered, the job is neither failed nor done, and a repetition finishes it.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"before", "open", "render", "in render", "thumbnails", "publish", "register"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, encoding())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			watch := &watcher{onStart: func(stage string) {
				if stage == where {
					cancel()
				}
			}, onProgress: func() {
				if where == "in render" {
					cancel()
				}
			}}
			w.cfg.Observer = watch
			if where == "before" {
				cancel()
			}
			out, err := w.process(ctx)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, pipeline.KindInterrupted, pipeline.KindOf(err))
			require.Empty(t, out.Assets)
			require.Empty(t, w.catalog.all())
			if where == "before" {
				require.Empty(t, w.catalog.jobs())
			} else {
				require.Equal(t, catalog.JobQueued, w.catalog.job().State)
				require.Zero(t, w.catalog.job().Attempts, "an interruption uses up no attempt")
			}
			again, err := w.process(t.Context())
			w.requireDone(t, again, err)
		})
	}
}

// TestDeadline shows that a job which took too long has failed, for now.
func TestDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, encoding())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.cfg.Observer = &watcher{onProgress: cancel}
	// A context that ended by its deadline, without a test that waits for one.
	_, err := w.process(late{ctx})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, pipeline.KindTransient, pipeline.KindOf(err))
	require.Equal(t, catalog.JobFailed, w.catalog.job().State)
	require.Empty(t, w.catalog.all())
	w.cfg.Observer = nil
	out, err := w.process(t.Context())
	w.requireDone(t, out, err)
}

// late is a context whose end is that of a deadline.
type late struct{ context.Context }

// Value hides the context behind it, so that contexts made of this one ask Err.
func (l late) Value(any) any { return nil }

func (l late) Err() error {
	if l.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

// TestFullDisk takes the scratch folder away.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	scratch := w.cfg.Scratch
	w.cfg.Scratch = filepath.Join(file, "scratch")
	_, err := w.process(t.Context())
	require.ErrorContains(t, err, "scratch folder of job")
	require.Equal(t, catalog.JobQueued, w.catalog.job().State, "it was not begun")
	require.Empty(t, w.catalog.all())
	w.cfg.Scratch = scratch
	out, err := w.process(t.Context())
	w.requireDone(t, out, err)
}

// TestShortStore has a store that loses half of a file without a word: the next run sees it and makes it good.
func TestShortStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	w.blobs.short = true
	_, err := w.process(t.Context())
	require.Error(t, err)
	require.Equal(t, pipeline.KindTransient, pipeline.KindOf(err))
	require.Empty(t, w.catalog.all(), "an asset was registered without its bytes")
	require.Equal(t, catalog.JobFailed, w.catalog.job().State)
	w.blobs.short = false
	out, err := w.process(t.Context())
	w.requireDone(t, out, err)
}

// TestBadInput registers an asset that failed, and no bytes.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	require.NoError(t, os.WriteFile(filepath.Join(w.capture.Name, "recording.mp4"), []byte("These are words.\n"), 0o600))
	out, err := w.process(t.Context())
	require.Equal(t, pipeline.KindBadInput, pipeline.KindOf(err))
	require.Equal(t, 1, out.Failed)
	require.Zero(t, out.Made)
	require.Equal(t, catalog.JobFailed, out.Job.State)
	require.Equal(t, "INPUT_ERROR", out.Job.Error.Kind)
	require.Equal(t, catalog.AssetFailed, out.Assets[0].Status)
	require.Equal(t, out.Job.Error, out.Assets[0].Error)
	require.Empty(t, w.blobs.keys())
}
