package transcode_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/transcode"
)

// interrupter is a file that ends a context after some reads or writes.
type interrupter struct {
	*os.File
	left   atomic.Int64
	cancel context.CancelFunc
}

func (f *interrupter) count() {
	if f.left.Add(-1) == 0 {
		f.cancel()
	}
}

func (f *interrupter) ReadAt(p []byte, off int64) (int, error) {
	f.count()
	return f.File.ReadAt(p[:min(len(p), 700)], off) // many small reads: many moments
}

func (f *interrupter) WriteAt(p []byte, off int64) (int, error) {
	f.count()
	return f.File.WriteAt(p, off)
}

// TestConvertCancelled ends the context at random moments: the call returns the context's error, and whatever was
// open is closed, which TestMain looks at.
func TestConvertCancelled(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]fixtures.RecordSpec{"webm": fixtures.WebMVP8(), "mp4": fixtures.FragmentedMP4(), "ts": fixtures.MPEGTS()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := record(t, small(2), spec)
			ended, cancelled := 0, 0
			for range tries(30, 300) {
				if cancelledConvert(t, path, int64(rand.IntN(400))) {
					cancelled++
				} else {
					ended++
				}
			}
			t.Logf("%d cancelled, %d had ended", cancelled, ended)
			require.NotZero(t, cancelled)
		})
	}
}

// cancelledConvert tells whether the conversion was interrupted.
func cancelledConvert(t *testing.T, path string, moment int64) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file, err := os.Open(path)
	require.NoError(t, err)
	in := &interrupter{File: file, cancel: cancel}
	in.left.Store(moment)
	if moment == 0 {
		cancel()
	}
	defer func() { require.NoError(t, file.Close()) }()
	info, err := file.Stat()
	require.NoError(t, err)
	out, err := os.Create(filepath.Join(t.TempDir(), "out.mp4"))
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Close()) }()
	src := transcode.Source{Name: "film", R: in, Size: info.Size()}
	_, err = transcode.Convert(ctx, transcode.Recording{Parts: []transcode.Part{{Source: src}}, Video: transcode.VideoSettings{Preset: "ultrafast"}}, out)
	if ctx.Err() == nil {
		require.NoError(t, err)
		return false
	}
	if err == nil {
		return false // it ended with the last packet
	}
	require.ErrorIs(t, err, context.Canceled)
	return true
}

// TestCancelledElsewhere ends the context of the other calls before they begin.
func TestCancelledElsewhere(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src := source(t, record(t, small(1), fixtures.WebMVP8()))
	_, err := transcode.Probe(ctx, src)
	require.ErrorIs(t, err, context.Canceled)
	_, err = transcode.Scan(ctx, src, true)
	require.ErrorIs(t, err, context.Canceled)
	_, err = transcode.Stills(ctx, src, nil, 0, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, err = transcode.Decode(ctx, src, transcode.Sink{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, fixtures.Record(ctx, filepath.Join(t.TempDir(), "x.webm"), small(1), fixtures.WebMVP8()), context.Canceled)
}
