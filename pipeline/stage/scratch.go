package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

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
