package pipeline

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// holdVariable makes the test binary a process that works in the scratch folder
// named by it until it is killed or its standard input ends.
const holdVariable = "RUSHES_TEST_HOLD_SCRATCH"

func holdScratch(parent string) int {
	s, err := OpenScratch(parent, "job")
	if err == nil {
		_, err = s.Dir("half")
	}
	if err == nil {
		err = s.MarkDone("whole", "key", "made by the child")
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("holding")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestScratchBelongsToOneProcess(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), holdVariable+"="+parent)
	_, err = child.StdinPipe() // held open; Wait closes it
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "holding\n", line)

	_, err = OpenScratch(parent, "job")
	require.ErrorIs(t, err, ErrScratchBusy)
	require.Equal(t, KindTransient, KindOf(err))
	other, err := OpenScratch(parent, "other")
	require.NoError(t, err, "another job is free")
	require.NoError(t, other.Remove())

	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait(), "killed")
	s, err := OpenScratch(parent, "job")
	require.NoError(t, err, "the lock died with the process")
	var value string
	done, err := s.Done("whole", "key", &value)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, "made by the child", value)
	done, err = s.Done("half", "key", nil)
	require.NoError(t, err)
	require.False(t, done)
	require.NoError(t, s.Remove())
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left, "nothing stays behind")
}

func TestScratchLockUnderContention(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	var inside atomic.Int32
	var wg sync.WaitGroup
	errs := make(chan error, 8*200)
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				s, err := OpenScratch(parent, "job")
				if err != nil {
					continue // busy is what the others see
				}
				if n := inside.Add(1); n != 1 {
					errs <- fmt.Errorf("%d at once", n)
				}
				inside.Add(-1)
				if i%2 == 0 {
					err = s.Remove()
				} else {
					err = s.Close()
				}
				if err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func TestScratchMarks(t *testing.T) {
	t.Parallel()
	s, err := OpenScratch(t.TempDir(), "0A9f")
	require.NoError(t, err)
	done := func(key string) bool {
		ok, err := s.Done("unit", key, nil)
		require.NoError(t, err)
		return ok
	}
	require.False(t, done("k"))
	dir, err := s.Dir("unit")
	require.NoError(t, err)
	require.Equal(t, s.Path("unit"), dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "deep"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "deep", "f"), []byte("abc"), 0o600))
	require.NoError(t, s.MarkDone("unit", "k", map[string]int{"n": 7}))
	require.True(t, done("k"))
	require.False(t, done("other"))

	var value map[string]int
	ok, err := s.Done("unit", "k", &value)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, map[string]int{"n": 7}, value)
	var misfit string
	ok, err = s.Done("unit", "k", &misfit)
	require.NoError(t, err)
	require.False(t, ok, "a value that does not fit is made again")

	require.NoError(t, os.Remove(filepath.Join(dir, "deep", "f")))
	require.False(t, done("k"), "a file is missing")
	require.NoError(t, os.WriteFile(s.Path("unit.done"), []byte("torn"), 0o600))
	require.False(t, done("k"), "a mark that cannot be read")
	require.NoError(t, s.Reset("unit"))
	require.NoFileExists(t, s.Path("unit.done"))
	require.NoDirExists(t, dir)
	require.NoError(t, s.Reset("unit"), "nothing to forget")

	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "link")))
	require.ErrorContains(t, s.MarkDone("unit", "k", nil), "not a regular file")

	for _, name := range []string{"", "..", ".lock", "a/b", "x.done", "Ä"} {
		_, err := s.Dir(name)
		require.Error(t, err, name)
		require.Error(t, s.Reset(name), name)
		require.Error(t, s.MarkDone(name, "k", nil), name)
	}
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.MarkDone("unit", "k", nil), fs.ErrClosed)
	require.ErrorIs(t, s.Remove(), fs.ErrClosed)
}

func TestOpenScratchRefusesNames(t *testing.T) {
	t.Parallel()
	for _, job := range []string{"", "..", "../x", "a/b", ".hidden", "a b"} {
		_, err := OpenScratch(t.TempDir(), job)
		require.Error(t, err, job)
	}
}
