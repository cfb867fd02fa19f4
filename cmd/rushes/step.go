package main

import (
	"context"
	"os"
	"strings"

	"rushes/pipeline/stage"
)

// stepCommand is the hidden command that a worker starts this program with for every step that touches media.
const stepCommand = "step"

// isStep reports whether the command line is that of a step. It is looked at before anything else, because a step
// gives up most of what a process may do, and signals are its parent's.
func isStep(args []string) bool { return len(args) == 1 && args[0] == stepCommand }

// runStep runs one step and gives the exit status.
func runStep(ctx context.Context) int { return stage.ChildMain(ctx, os.Stdin, os.Stdout) }

// testVariables are the variables by which tests put faults into steps; nothing else of the environment goes there.
func testVariables() []string {
	var out []string
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "RUSHES_TEST_") {
			out = append(out, v)
		}
	}
	return out
}
