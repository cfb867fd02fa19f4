package sqlstore_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

// The test binary runs as the child of a test when childVariable names a
// catalog; childTask says what to do with it.
const (
	childVariable = "RUSHES_TEST_CATALOG_CHILD"
	childTask     = "RUSHES_TEST_CATALOG_TASK"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		if err := runChild(path, os.Getenv(childTask)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv("RUSHES_SOAK") == "" {
		// With the race detector on, a hundred histories of the catalog take minutes.
		if err := flag.Set("rapid.checks", "15"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if serverAsked.Load() {
			if p, err := server(); err == nil {
				if err := p.Stop(); err != nil {
					fmt.Fprintln(os.Stderr, err)
					code = 1
				}
			}
		}
		os.Exit(code)
	}))
}

func runChild(path, task string) error {
	cfg := target(path)
	cfg.Events = task == "events"
	s, err := sqlstore.Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	switch task {
	case "batches":
		return registerForEver(s)
	case "events":
		return endForEver(s)
	}
	n, err := strconv.Atoi(task)
	if err != nil {
		return err
	}
	for range n {
		id, err := sharedID(context.Background(), s)
		if err != nil {
			return err
		}
		fmt.Println(id)
	}
	return s.Close()
}

// sharedID does what every process that has made the same asset does, and
// returns the id of the asset. Of several at once the last one to claim the job
// wins, and the others begin again.
func sharedID(ctx context.Context, s *sqlstore.Store) (string, error) {
	for {
		j, err := begin(ctx, s, "shared")
		if err != nil {
			return "", err
		}
		got, err := s.RegisterAssets(ctx, claimOf(j), []catalog.Asset{failed("shared")})
		if errors.Is(err, catalog.ErrClaimLost) {
			continue
		}
		if err != nil {
			return "", err
		}
		return got[0].ID, nil
	}
}

// target tells a file from an address.
func target(at string) sqlstore.Config {
	if strings.HasPrefix(at, "postgres:") {
		return sqlstore.Config{URL: catalog.Secret(at)}
	}
	return sqlstore.Config{Path: at}
}

func openTarget(t *testing.T, at string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), target(at))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
	})
	return s
}

func openStore(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	return openTarget(t, path)
}

func completed(key string) catalog.Asset {
	return catalog.Asset{
		RoomID: "room", SessionID: "session", Type: catalog.RoomComposite, Status: catalog.AssetCompleted,
		Path: "beam/" + key + ".mp4", Size: 1000, Duration: 12345 * time.Millisecond, Key: key, Software: "v1",
	}
}

func failed(key string) catalog.Asset {
	a := completed(key)
	a.Status, a.Path, a.Size = catalog.AssetFailed, "", 0
	a.Error = &catalog.AssetError{Kind: "transient", Message: "disk full"}
	return a
}

// beginJob adds the capture's job when it is not there yet and claims it.
func beginJob(t *testing.T, s *sqlstore.Store, captureKey string) catalog.Job {
	t.Helper()
	j, err := begin(t.Context(), s, captureKey)
	require.NoError(t, err)
	return j
}

func begin(ctx context.Context, s *sqlstore.Store, captureKey string) (catalog.Job, error) {
	j, _, err := s.AddJob(ctx, jobOf(captureKey), false)
	if err != nil {
		return catalog.Job{}, err
	}
	return s.SeizeJob(ctx, j.ID, "test")
}

func claimOf(j catalog.Job) catalog.Claim { return catalog.Claim{JobID: j.ID, Fence: j.Fence} }

func register(t *testing.T, s *sqlstore.Store, j catalog.Job, assets ...catalog.Asset) []catalog.Asset {
	t.Helper()
	got, err := s.RegisterAssets(t.Context(), claimOf(j), assets)
	require.NoError(t, err)
	require.Len(t, got, len(assets))
	return got
}

// pages reads all pages of a list.
func pages(t *testing.T, s *sqlstore.Store, f catalog.Filter, limit int) []catalog.Asset {
	t.Helper()
	f.Limit = limit
	var all []catalog.Asset
	for {
		page, err := s.ListAssets(t.Context(), f)
		require.NoError(t, err)
		all = append(all, page...)
		if limit == 0 || len(page) < limit {
			return all
		}
		f.After = page[limit-1].ID
	}
}
