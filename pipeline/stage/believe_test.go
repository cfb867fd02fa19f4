package stage_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/stage"
)

// forger runs steps in this process and changes what they say and leave, as hostile bytes might.
type forger struct {
	answer func(step stage.StepName, result map[string]any)
	files  func(step stage.StepName, scratch string)
}

func (f *forger) Step(ctx context.Context, req stage.StepRequest, report func(stage.StepReport)) (result stage.StepResult, err error) {
	result, err = stage.RunStep(ctx, req, report)
	if err != nil {
		return result, err
	}
	text, err := json.Marshal(result)
	if err != nil {
		return result, err
	}
	var said map[string]any
	if err := json.Unmarshal(text, &said); err != nil {
		return result, err
	}
	if f.answer != nil {
		f.answer(req.Step, said)
	}
	if f.files != nil {
		f.files(req.Step, req.Scratch)
	}
	if text, err = json.Marshal(said); err != nil {
		return result, err
	}
	result = stage.StepResult{}
	return result, json.Unmarshal(text, &result)
}

// TestForgedAnswers lets a step that was taken over reach for what is not its job's: nothing of it is published.
func TestForgedAnswers(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("the host's"), 0o600))
	item := func(change func(item, asset map[string]any)) func(stage.StepName, map[string]any) {
		return func(step stage.StepName, said map[string]any) {
			if step != stage.StepOpen {
				return
			}
			i := said["Opened"].(map[string]any)["Items"].([]any)[0].(map[string]any)
			change(i, i["Asset"].(map[string]any))
		}
	}
	instead := func(make func(path string) error) func(stage.StepName, string) {
		return func(step stage.StepName, scratch string) {
			if step == stage.StepThumbnails {
				path := filepath.Join(scratch, "render.room-composite", "composite.mp4")
				require.NoError(t, os.Remove(path))
				require.NoError(t, make(path))
			}
		}
	}
	for name, f := range map[string]*forger{
		"a file elsewhere": {answer: item(func(i, _ map[string]any) { i["File"] = "../../../" + secret })},
		"another room":     {answer: item(func(_, a map[string]any) { a["RoomID"] = "other" })},
		"another capture":  {answer: item(func(_, a map[string]any) { a["Key"] = "0000/room-composite" })},
		"a place":          {answer: item(func(_, a map[string]any) { a["Path"] = "beam/other/20260101/Rec-other-1.mp4" })},
		"another key": {answer: func(step stage.StepName, said map[string]any) {
			if step == stage.StepOpen {
				said["Opened"].(map[string]any)["Key"] = "0000"
			}
		}},
		"a link":   {files: instead(func(path string) error { return os.Symlink(secret, path) })},
		"a folder": {files: instead(func(path string) error { return os.Mkdir(path, 0o700) })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, copying())
			job, err := stage.NewJob(t.Context(), w.capture.Name, stage.Options{})
			require.NoError(t, err)
			job, _, err = w.catalog.Store.AddJob(t.Context(), job, true)
			require.NoError(t, err)
			job, err = w.catalog.Store.ClaimJob(t.Context(), job.ID, "test")
			require.NoError(t, err)
			work := stage.Work(stage.WorkerConfig{Config: w.cfg, Steps: func(catalog.Job) stage.Steps { return f }, Settle: time.Second, Disk: pipeline.DiskRule{Path: t.TempDir(), Reserve: -1}})
			end := work(t.Context(), job, catalog.Claim{JobID: job.ID, Fence: job.Fence})
			require.Contains(t, []catalog.Ending{catalog.EndFailed, catalog.EndRetry}, end.Ending)
			require.Regexp(t, "a step answered what it may not|not a regular file|path escapes", end.Failure.Message)
			require.Empty(t, w.catalog.all())
			for _, key := range w.blobs.keys() {
				require.NotContains(t, string(w.blobs.bytes(key)), "the host's", key)
			}
		})
	}
}

// TestForgedThumbnails leaves out stills that are not the unit's.
func TestForgedThumbnails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, copying())
	f := &forger{answer: func(step stage.StepName, said map[string]any) {
		if step == stage.StepThumbnails {
			made := said["Thumbs"].(map[string]any)["room-composite"].(map[string]any)
			made["Made"] = []any{map[string]any{"File": "../render.room-composite/composite.mp4", "Offset": 0}}
		}
	}}
	job, err := stage.NewJob(t.Context(), w.capture.Name, stage.Options{})
	require.NoError(t, err)
	job, _, err = w.catalog.Store.AddJob(t.Context(), job, true)
	require.NoError(t, err)
	job, err = w.catalog.Store.ClaimJob(t.Context(), job.ID, "test")
	require.NoError(t, err)
	end := stage.Work(stage.WorkerConfig{Config: w.cfg, Steps: func(catalog.Job) stage.Steps { return f }, Disk: pipeline.DiskRule{Path: t.TempDir(), Reserve: -1}})(t.Context(), job, catalog.Claim{JobID: job.ID, Fence: job.Fence})
	require.Equal(t, catalog.EndCompleted, end.Ending, "%+v", end)
	require.Len(t, w.catalog.all(), 1)
	require.Empty(t, w.catalog.all()[0].Thumbnails)
	require.Len(t, w.blobs.keys(), 1)
}
