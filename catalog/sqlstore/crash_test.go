package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

// batch is the number of assets that the crash test registers at once.
const batch = 7

// registerForEver is the child of TestKilled: it begins jobs, registers a batch
// of assets for each and prints the job's id once that is done.
func registerForEver(s *sqlstore.Store) error {
	ctx := context.Background()
	for i := 0; ; i++ {
		j, err := begin(ctx, s, fmt.Sprint("capture-", os.Getpid(), "-", i))
		if err != nil {
			return err
		}
		assets := make([]catalog.Asset, batch)
		for n := range assets {
			assets[n] = completed(fmt.Sprint(j.ID, "/", n))
		}
		if _, err := s.RegisterAssets(ctx, claimOf(j), assets); err != nil {
			return err
		}
		fmt.Println(j.ID)
	}
}

func child(path, task string) (*exec.Cmd, *strings.Builder) {
	c := exec.Command(os.Args[0]) //nolint:gosec // this test itself
	c.Env = append(os.Environ(), childVariable+"="+path, childTask+"="+task)
	var stderr strings.Builder
	c.Stderr = &stderr
	return c, &stderr
}

// TestKilled kills a process in the middle of registering, at 20 random
// moments: what it said it had registered is there, and no batch is there in
// part.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	testKilled(t, path)
	var check string
	require.NoError(t, rawDB(t, path).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check))
	require.Equal(t, "ok", check)
}

func TestKilledOnPostgres(t *testing.T) {
	t.Parallel()
	testKilled(t, postgresURL(t))
}

func testKilled(t *testing.T, path string) {
	t.Helper()
	var jobs []string
	for range 20 {
		c, stderr := child(path, "batches")
		stdout, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewScanner(stdout)
		// From before the first migration has ended to some batches later.
		for n := rand.IntN(6); n > 0 && lines.Scan(); n-- { //nolint:gosec // test data
			jobs = append(jobs, lines.Text())
		}
		require.NoError(t, c.Process.Kill())
		for lines.Scan() {
			if catalog.ValidID(lines.Text()) {
				jobs = append(jobs, lines.Text())
			}
		}
		require.Error(t, c.Wait(), "the child was to be killed")
		require.Empty(t, stderr.String())
	}
	s := openStore(t, path)
	for _, id := range jobs {
		require.Len(t, pages(t, s, catalog.Filter{JobID: id}, 0), batch)
	}
	perJob := map[string]int{}
	for _, a := range pages(t, s, catalog.Filter{}, 100) {
		perJob[a.JobID]++
	}
	require.GreaterOrEqual(t, len(perJob), len(jobs))
	for id, n := range perJob {
		require.Equal(t, batch, n, "job %s", id)
	}
	t.Logf("%d batches in 20 rounds", len(perJob))
}

// TestRegisterAtOnce: eight goroutines here, over two handles, and two other
// processes make the same asset of the same capture; there is one.
func TestRegisterAtOnce(t *testing.T) {
	t.Parallel()
	testRegisterAtOnce(t, filepath.Join(t.TempDir(), "catalog.db"))
}

func TestRegisterAtOnceOnPostgres(t *testing.T) {
	t.Parallel()
	testRegisterAtOnce(t, postgresURL(t))
}

func testRegisterAtOnce(t *testing.T, path string) {
	t.Helper()
	const rounds = 10
	var (
		mu  sync.Mutex
		ids = map[string]int{}
		wg  sync.WaitGroup
	)
	count := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		ids[id]++
	}
	for range 2 {
		c, stderr := child(path, fmt.Sprint(rounds))
		wg.Go(func() {
			out, err := c.Output()
			if err != nil {
				t.Errorf("child: %v: %s", err, stderr)
			}
			for id := range strings.FieldsSeq(string(out)) {
				count(id)
			}
		})
	}
	stores := []*sqlstore.Store{openStore(t, path), openStore(t, path)}
	for g := range 8 {
		wg.Go(func() {
			for range rounds {
				id, err := sharedID(t.Context(), stores[g%2])
				if err != nil {
					t.Error(err)
					return
				}
				count(id)
			}
		})
	}
	wg.Wait()
	require.Len(t, ids, 1)
	for _, n := range ids {
		require.Equal(t, (8+2)*rounds, n)
	}
	require.Len(t, pages(t, stores[0], catalog.Filter{}, 0), 1)
	require.Greater(t, beginJob(t, stores[0], "shared").Fence, int64((8+2)*rounds))
}
