package dir_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/dir"
)

// sealed returns a body that carries its own digest at the end, so that a half
// or mixed object can be told from a whole one.
func sealed(n int) []byte {
	b := make([]byte, n, n+sha256.Size)
	for i := range b {
		b[i] = byte(rand.Uint32()) //nolint:gosec // test data
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func whole(b []byte) bool {
	if len(b) < sha256.Size {
		return false
	}
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	return bytes.Equal(sum[:], b[len(b)-sha256.Size:])
}

// putForEver is the child: several goroutines put, adopt and delete objects and
// print the key of every one that was put, once that is done.
func putForEver(root string) int {
	s, err := dir.Open(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if err := putOne(s, root, w, i); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return 1
}

func putOne(s *dir.Store, root string, w, i int) error {
	ctx := context.Background()
	body := sealed(rand.IntN(200_000)) //nolint:gosec // test data
	key := fmt.Sprintf("w%d/%d/object", w, i)
	if i%3 == 0 {
		file := filepath.Join(filepath.Dir(root), fmt.Sprintf("scratch-%d-%d", w, i))
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return err
		}
		if err := s.Adopt(ctx, key, file); err != nil {
			return err
		}
	} else if err := s.Put(ctx, key, bytes.NewReader(body), blob.PutOptions{Size: int64(len(body))}); err != nil {
		return err
	}
	if i%5 == 4 {
		return s.Delete(ctx, key)
	}
	fmt.Println(key)
	return nil
}

// TestKilled kills a process in the middle of its puts, at 20 random moments:
// what it had put is there and whole, nothing half is, and the temporary files
// are gone after the next Open, but not those of a process that lives.
func TestKilled(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "blobs")
	living, err := dir.Open(root)
	require.NoError(t, err)
	defer func() { require.NoError(t, living.Close()) }()
	body, unblock := io.Pipe()
	started := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		close(started)
		result <- living.Put(t.Context(), "living/object", body, blob.PutOptions{Size: blob.UnknownSize})
	}()
	<-started
	_, err = unblock.Write([]byte("first half, "))
	require.NoError(t, err)

	leftovers := 0
	for range 20 {
		leftovers += killOnce(t, root)
	}
	t.Logf("%d temporary files were left behind and removed", leftovers)

	_, err = unblock.Write([]byte("second half"))
	require.NoError(t, err)
	require.NoError(t, unblock.Close())
	require.NoError(t, <-result)
	got, err := os.ReadFile(filepath.Join(root, "living", "object"))
	require.NoError(t, err)
	require.Equal(t, "first half, second half", string(got))
	require.Empty(t, temporaries(t, root))
}

// killOnce runs the child until it has put a random number of objects, kills
// it, looks at what it left, and returns the number of temporary files.
func killOnce(t *testing.T, root string) (leftovers int) {
	t.Helper()
	child := exec.Command(os.Args[0]) //nolint:gosec // this test itself
	child.Env = append(os.Environ(), childVariable+"="+root)
	var stderr strings.Builder
	child.Stderr = &stderr
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(stdout)
	var keys []string
	for n := rand.IntN(12); len(keys) <= n && lines.Scan(); { //nolint:gosec // test data
		keys = append(keys, lines.Text())
	}
	require.NoError(t, child.Process.Kill())
	for lines.Scan() {
		if key := lines.Text(); strings.HasSuffix(key, "/object") {
			keys = append(keys, key)
		}
	}
	require.Error(t, child.Wait(), "the child was to be killed")
	require.Empty(t, stderr.String())

	leftovers = len(temporaries(t, root)) - 1 // one is that of the living process
	s, err := dir.Open(root)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Len(t, temporaries(t, root), 1)
	for _, key := range keys {
		_, err := s.Stat(t.Context(), key)
		require.NoError(t, err)
	}
	for info, err := range s.List(t.Context(), "") {
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(root, info.Key))
		require.NoError(t, err)
		require.True(t, whole(b), "%s is not whole", info.Key)
		require.NoError(t, s.Delete(t.Context(), info.Key))
	}
	return leftovers
}

func temporaries(t *testing.T, root string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, ".incoming"))
	require.NoError(t, err)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
