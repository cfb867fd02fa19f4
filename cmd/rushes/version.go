package main

import (
	"fmt"
	"runtime"

	"rushes/transcode"
)

type versionCmd struct{}

// Run prints the version of Rushes and of what it is built on.
func (versionCmd) Run(e env) error {
	b := transcode.BuildInfo()
	_, err := fmt.Fprintf(e.stdout, "rushes %s (%s, libavcodec %s)\n", version, runtime.Version(), b.Version)
	return err
}
