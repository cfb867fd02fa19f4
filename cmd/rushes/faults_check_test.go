package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/transcode/mp4"
)

// requireMade wants every one of the jobs completed exactly once, with the assets that process makes.
func (c *cluster) requireMade(ids ...string) {
	c.Helper()
	for _, id := range ids {
		j := c.job(id)
		require.Equal(c, catalog.JobCompleted, j.State, "%s: %+v", c.names[id], j.Error)
		require.Nil(c, j.Error)
		assets, err := c.data.catalog.ListAssets(c.Context(), catalog.Filter{JobID: id})
		require.NoError(c, err)
		var made []string
		for _, a := range assets {
			made = append(made, inWords(a))
		}
		require.ElementsMatch(c, c.mix.wanted[c.kinds[id]], made, c.names[id])
		if c.kinds[id] == kindLong {
			require.NotEmpty(c, c.parts(id), "not made in parts")
		}
	}
	for _, j := range c.family(ids) {
		if j.Kind == catalog.PartJob && j.State == catalog.JobCanceled {
			continue // with its job, which was tried again later
		}
		completed := 0
		for _, e := range c.endings(j.ID) {
			if e == catalog.EndCompleted {
				completed++
			}
		}
		require.Equal(c, 1, completed, "%s %s: %v", j.Kind, c.names[j.ID], c.endings(j.ID))
	}
}

// requireClean wants the store to hold exactly the bytes of the assets, whole, and nothing in any scratch folder or
// in the list of places, after a restart of everything.
func (c *cluster) requireClean() {
	c.Helper()
	c.renew()
	assets, err := c.data.catalog.ListAssets(c.Context(), catalog.Filter{})
	require.NoError(c, err)
	var want []string
	for _, a := range assets {
		if a.Status != catalog.AssetCompleted {
			continue
		}
		want = append(append(want, a.Path), a.Thumbnails...)
	}
	slices.Sort(want)
	require.Equal(c, want, slices.Compact(slices.Clone(want)), "two assets at one place")
	// What a worker has left that is dead, the others clean away within a minute.
	require.Eventually(c, func() bool {
		strays, err := c.data.catalog.Strays(c.Context(), 10)
		return err == nil && len(strays) == 0 && slices.Equal(want, c.stored()) && len(c.scratch()) == 0
	}, 90*time.Second, 100*time.Millisecond, "strays: %v", lazily(func() any {
		strays, err := c.data.catalog.Strays(c.Context(), 10)
		return fmt.Sprint(strays, err, c.scratch(), slices.DeleteFunc(c.stored(), func(s string) bool { return slices.Contains(want, s) }))
	}))
	for _, a := range assets {
		if a.Status != catalog.AssetCompleted {
			continue
		}
		path := filepath.Join(c.home(0), "blobs", a.Path)
		f, err := os.Open(path)
		require.NoError(c, err)
		info, err := f.Stat()
		require.NoError(c, err)
		require.Equal(c, a.Size, info.Size())
		if strings.HasSuffix(path, ".mp4") {
			findings, err := mp4.Check(f, info.Size())
			require.NoError(c, err)
			for _, finding := range findings {
				require.NotEqual(c, mp4.Must, finding.Severity, "%s: %v", a.Path, finding)
			}
		}
		require.NoError(c, f.Close())
	}
}

// stored are the keys of all objects.
func (c *cluster) stored() []string {
	all := files(c.T, filepath.Join(c.home(0), "blobs"))
	slices.Sort(all)
	return all
}

// scratch is what lies in the scratch folders of all machines, folders too.
func (c *cluster) scratch() (all []string) {
	all, err := filepath.Glob(filepath.Join(c.folder, "machine-*", "scratch", "*"))
	require.NoError(c, err)
	return all
}
