package stage

import (
	"os"

	"rushes/hls"
)

// NewSegmentDemuxer gives what hls reads MPEG-TS segments with.
func NewSegmentDemuxer() hls.Demuxer { return segmentDemuxer{} }

// NewDumpFiles gives what hls opens the files of a dump with.
func NewDumpFiles(open func(name string) (*os.File, error)) hls.Files { return newDumpFiles(open) }

// NewPackageSink gives what hls writes a package with.
func NewPackageSink(folder string) hls.Sink { return &packageSink{folder: folder} }
