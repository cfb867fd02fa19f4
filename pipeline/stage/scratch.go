package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
)

// lookAgain is how often a process that waits looks whether the other one has ended.
const lookAgain = 100 * time.Millisecond

// openScratch is pipeline.OpenScratch, only that it waits while somebody else has the folder. waiting is called
// before that, once.
func openScratch(ctx context.Context, parent, name string, waiting func()) (*pipeline.Scratch, error) {
	for told := false; ; told = true {
		s, err := pipeline.OpenScratch(parent, name)
		if !errors.Is(err, pipeline.ErrScratchBusy) {
			return s, err
		}
		if !told && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(lookAgain):
		}
	}
}

// CleanScratch deletes the scratch folders below parent whose jobs are over, or unknown, and which nobody uses: what
// a worker has left that was killed, or whose job went on elsewhere. It may run at any time.
func CleanScratch(ctx context.Context, c Catalog, parent string) error {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for scratch folders: %w", err)
	}
	for _, e := range entries {
		id := strings.TrimSuffix(e.Name(), fetchedSuffix) // also what was fetched for the job
		if !e.IsDir() || !catalog.ValidID(id) {
			continue
		}
		job, err := c.JobByID(ctx, id)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return fmt.Errorf("look for the job of scratch folder %s: %w", e.Name(), err)
		}
		if err == nil && !job.State.Final() {
			continue
		}
		s, err := pipeline.OpenScratch(parent, id)
		if errors.Is(err, pipeline.ErrScratchBusy) {
			continue
		}
		if err != nil {
			return err
		}
		if err := leave(s, true); err != nil {
			return err
		}
	}
	return nil
}
