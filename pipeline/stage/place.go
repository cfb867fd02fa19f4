package stage

import (
	"context"
	"errors"
	"fmt"
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

// closeFunc makes an io.Closer of a function.
type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// choosePlaces gives every product a place in the store that no asset of another capture has: the paths of api.md
// hold a room and a millisecond, which two recordings may share. Nobody else chooses until the job's assets are in
// the catalog and the run has ended.
func (j *jobRun) choosePlaces(ctx context.Context, run *pipeline.Run) error {
	// Taken even with nothing to do, so that the lock of a process that was killed is cleared away.
	lock, err := openScratch(ctx, j.cfg.Scratch, "places", nil)
	if err != nil {
		return fmt.Errorf("lock the places in the store: %w", err)
	}
	run.CloseLater("the lock on places in the store", closeFunc(lock.Remove))
	for _, p := range j.todo() {
		taken, err := j.taken(ctx, p)
		if err != nil {
			return fmt.Errorf("look for the place of asset %s: %w", p.name, err)
		}
		for n := 0; p.asset.Path == "" || taken[p.asset.Path]; n++ {
			p.asset.Path = p.path(n)
		}
	}
	return nil
}

// taken tells the places that other assets of the product's room and type have.
func (j *jobRun) taken(ctx context.Context, p *product) (map[string]bool, error) {
	taken := map[string]bool{}
	for after := ""; ; {
		page, err := j.cfg.Catalog.ListAssets(ctx, catalog.Filter{RoomID: p.asset.RoomID, Type: p.asset.Type, After: after, Limit: catalog.MaxPage})
		if err != nil {
			return nil, err
		}
		for _, a := range page {
			after = a.ID
			taken[a.Path] = taken[a.Path] || a.Key != p.asset.Key
		}
		if len(page) < catalog.MaxPage {
			return taken, nil
		}
	}
}
