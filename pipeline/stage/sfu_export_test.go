package stage

import (
	"context"
	"os"

	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// CopyTrack copies a track as a track asset's file is made.
func CopyTrack(ctx context.Context, c *capture.Capture, t *capture.TrackIndex, f *os.File) error {
	_, err := renderWebM(ctx, c, t, f, func(pipeline.Progress) {})
	return err
}
