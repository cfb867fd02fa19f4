package sqlstore_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func jobOf(captureKey string) catalog.Job {
	return catalog.Job{CaptureKey: captureKey, CaptureURI: "captures/" + captureKey}
}

func holdLock(t *testing.T, path string) (unlock func()) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	return func() { require.NoError(t, f.Close()) }
}
