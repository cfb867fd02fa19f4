package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVariable); dir != "" {
		os.Exit(holdScratch(dir))
	}
	goleak.VerifyTestMain(m)
}

// diary is an observer that writes down what it is told.
type diary struct{ lines []string }

func (d *diary) StageStarted(stage string, index, total int) {
	d.lines = append(d.lines, fmt.Sprintf("%s starts, %d of %d", stage, index+1, total))
}

func (d *diary) Progress(stage string, p Progress) {
	d.lines = append(d.lines, fmt.Sprintf("%s %d/%d %v ×%g", stage, p.Done, p.Total, p.Media, p.Speed))
}

func (d *diary) StageDone(stage string, r StageResult) {
	d.lines = append(d.lines, fmt.Sprintf("%s done in %v, reused %v, error %v", stage, r.Took, r.Reused, r.Err))
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

func newRun(t *testing.T, parent string, o Observer) *Run {
	t.Helper()
	s, err := OpenScratch(parent, "job")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &Run{JobID: "job", Attempt: 1, Scratch: s, Observer: o}
}

func TestExecuteInOrderAndObserved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		run := newRun(t, parent, d)
		work := func(media time.Duration) func(context.Context, *Run) error {
			return func(_ context.Context, run *Run) error {
				run.Progress(Progress{Done: 0, Total: 10})
				<-time.After(2 * time.Second)
				run.Progress(Progress{Done: 10, Total: 10, Media: media})
				return nil
			}
		}
		require.NoError(t, Execute(t.Context(), run, StageFunc("plan", work(time.Second)), StageFunc("render", work(6*time.Second))))
		require.Equal(t, []string{
			"plan starts, 1 of 2", "plan 0/10 0s ×0", "plan 10/10 1s ×0.5", "plan done in 2s, reused false, error <nil>",
			"render starts, 2 of 2", "render 0/10 0s ×0", "render 10/10 6s ×3", "render done in 2s, reused false, error <nil>",
		}, d.lines)
		require.NoError(t, run.Scratch.Close())
	})
}

// job is a job of three stages, whose middle one can be told to fail.
type job struct {
	made  []string
	fail  error
	sum   *Made[int]
	last  int
	extra string
}

func (j *job) stages() []Stage {
	numbers := Make("numbers", func() (string, error) { return ContentKey("v1") },
		func(_ context.Context, run *Run) ([]int, error) {
			j.made = append(j.made, "numbers")
			dir, err := run.Scratch.Dir("numbers")
			if err != nil {
				return nil, err
			}
			return []int{1, 2, 3}, os.WriteFile(dir+"/raw", []byte("123"), 0o600)
		})
	j.sum = Make("sum", func() (string, error) { return ContentKey("v1", numbers.Value(), j.extra) },
		func(context.Context, *Run) (int, error) {
			j.made = append(j.made, "sum")
			total := 0
			for _, n := range numbers.Value() {
				total += n
			}
			return total, j.fail
		})
	return []Stage{numbers, j.sum, StageFunc("publish", func(context.Context, *Run) error {
		j.made = append(j.made, "publish")
		j.last = j.sum.Value()
		return nil
	})}
}

func TestExecuteResumes(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	attempt := func(j *job) ([]string, error) {
		d := &diary{}
		run := newRun(t, parent, d)
		defer func() { require.NoError(t, run.Scratch.Close()) }()
		return d.lines, Execute(t.Context(), run, j.stages()...)
	}
	first := &job{fail: io.ErrUnexpectedEOF}
	_, err := attempt(first)
	require.EqualError(t, err, "sum: unexpected EOF")
	var stage *StageError
	require.ErrorAs(t, err, &stage)
	require.Equal(t, "sum", stage.Stage)
	require.Equal(t, []string{"numbers", "sum"}, first.made)

	second := &job{}
	_, err = attempt(second)
	require.NoError(t, err)
	require.Equal(t, []string{"sum", "publish"}, second.made, "only what was missing")
	require.Equal(t, 6, second.last)

	other := &job{extra: "other options"}
	_, err = attempt(other)
	require.NoError(t, err)
	require.Equal(t, []string{"sum", "publish"}, other.made, "another key is other work")

	require.NoError(t, os.WriteFile(parent+"/job/numbers/raw", []byte("1"), 0o600))
	torn := &job{extra: "other options"}
	_, err = attempt(torn)
	require.NoError(t, err)
	require.Equal(t, []string{"numbers", "publish"}, torn.made, "a file that is not whole is made again")
}

func TestExecuteTellsWhatWasReused(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	for _, want := range []bool{false, true} {
		var got []bool
		run := newRun(t, parent, observeDone(func(r StageResult) { got = append(got, r.Reused) }))
		require.NoError(t, Execute(t.Context(), run, (&job{}).stages()...))
		require.NoError(t, run.Scratch.Close())
		require.Equal(t, []bool{want, want, false}, got)
	}
}

type observeDone func(StageResult)

func (observeDone) StageStarted(string, int, int)       {}
func (observeDone) Progress(string, Progress)           {}
func (f observeDone) StageDone(_ string, r StageResult) { f(r) }

func TestExecuteInterrupted(t *testing.T) {
	t.Parallel()
	why := errors.New("the worker is shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	run := newRun(t, t.TempDir(), nil)
	err := Execute(ctx, run,
		StageFunc("render", func(context.Context, *Run) error {
			cancel(why)
			return Permanent(blamed{input: true}) // what a library says that was cut off
		}),
		StageFunc("publish", func(context.Context, *Run) error {
			t.Error("nothing runs after an interruption")
			return nil
		}))
	require.Equal(t, KindInterrupted, KindOf(err))
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, "render: context canceled: the worker is shutting down: blamed")

	err = Execute(ctx, run, StageFunc("render", func(context.Context, *Run) error { return nil }))
	require.Equal(t, KindInterrupted, KindOf(err))
	require.ErrorContains(t, err, "render: not started")
}

func TestExecuteBetweenStages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	run := newRun(t, t.TempDir(), nil)
	err := Execute(ctx, run,
		StageFunc("one", func(context.Context, *Run) error { cancel(); return nil }),
		StageFunc("two", func(context.Context, *Run) error { t.Error("must not run"); return nil }))
	require.EqualError(t, err, "two: not started: context canceled")
}

func TestExecuteKeepsCloseErrors(t *testing.T) {
	t.Parallel()
	var closed []string
	closing := func(name string, err error) closeFunc {
		return func() error { closed = append(closed, name); return err }
	}
	stage := func(fail error) Stage {
		return StageFunc("open", func(_ context.Context, run *Run) error {
			run.CloseLater("first", closing("first", io.ErrShortWrite))
			run.CloseLater("second", closing("second", nil))
			return fail
		})
	}
	run := newRun(t, t.TempDir(), nil)
	err := Execute(t.Context(), run, stage(nil))
	require.EqualError(t, err, "closing first: short write")
	require.Equal(t, []string{"second", "first"}, closed)

	err = Execute(t.Context(), run, stage(blamed{input: true}))
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, KindBadInput, KindOf(err))
	require.Len(t, closed, 4)
}

func TestExecuteRefusesNames(t *testing.T) {
	t.Parallel()
	run := newRun(t, t.TempDir(), nil)
	nothing := func(context.Context, *Run) error { t.Error("must not run"); return nil }
	for _, names := range [][]string{{"a", "a"}, {""}, {"../a"}, {".lock"}, {"a.done"}, {"A"}, {"a/b"}} {
		var stages []Stage
		for _, n := range names {
			stages = append(stages, StageFunc(n, nothing))
		}
		require.Equal(t, KindPermanent, KindOf(Execute(t.Context(), run, stages...)), names)
	}
}

func TestRememberInParallel(t *testing.T) {
	t.Parallel()
	run := newRun(t, t.TempDir(), &diary{})
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			value, _, err := Remember(t.Context(), run, fmt.Sprintf("chunk.%d", i), "k", func(_ context.Context, run *Run) (int, error) {
				run.Progress(Progress{Done: int64(i)})
				return i * i, nil
			})
			if err == nil && value != i*i {
				err = fmt.Errorf("chunk %d is %d", i, value)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}
