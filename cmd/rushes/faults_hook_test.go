package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"rushes/pipeline/stage"
)

// faultsVariable names a folder with what is to go wrong in steps. It comes through to them because of its name; see
// testVariables.
const faultsVariable = "RUSHES_TEST_FAULTS"

// What a fault does to the process of a step.
const (
	doCrash = "crash" // SIGSEGV, as of a decoder
	doKill  = "kill"  // SIGKILL, as of somebody else
	doExit  = "exit"  // an end without a word
	doEat   = "eat"   // memory, until somebody ends it
	doAsk   = "ask"   // for more memory than there is
	doStop  = "stop"  // SIGSTOP: nothing happens any more
	doSpin  = "spin"  // for ever
)

// fault is one of the faults of a folder: the file faults.json is a list of them.
type fault struct {
	// Capture is the base name of the capture's folder, or a prefix of it that ends with '*'.
	Capture string
	// Step is the step; empty is any.
	Step stage.StepName
	// At is when: "" is before the step begins, "item:NAME" when that asset begins or gets on, "unit" after the first
	// finished unit, "progress" with the first sign of progress.
	At string
	// Do is what happens.
	Do string
	// Times is how often it happens to each capture at most; zero is every time.
	Times int
}

func (f *fault) wants(req *stage.StepRequest) bool {
	base := filepath.Base(req.Capture)
	prefix, open := strings.CutSuffix(f.Capture, "*")
	if base != f.Capture && (!open || !strings.HasPrefix(base, prefix)) || f.Step != "" && f.Step != req.Step {
		return false
	}
	item, ok := strings.CutPrefix(f.At, "item:")
	return !ok || slices.Contains(req.Items, item)
}

// isDue reports whether a report is the moment of the fault.
func (f *fault) isDue(r *stage.StepReport) bool {
	item, ok := strings.CutPrefix(f.At, "item:")
	switch {
	case ok:
		return r.Item == item
	case f.At == "unit":
		return r.Unit != ""
	}
	return r.Progress != nil && r.Progress.Done > 0
}

func (f *fault) happen() {
	switch f.Do {
	case doCrash:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case doKill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case doExit:
		os.Exit(7)
	case doStop:
		// Sent to the thread itself, or the process might run on for a moment.
		runtime.LockOSThread()
		_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP)
		runtime.UnlockOSThread()
	case doSpin:
		for { //nolint:revive // that is the fault
		}
	case doAsk:
		fmt.Fprintln(os.Stderr, len(make([]byte, tooMuch())))
	case doEat:
		eat()
	}
}

// eat takes ever more memory, and reads on meanwhile as a decoder does: on a busy machine it takes so long that it
// would be a hang otherwise.
func eat() {
	const piece, bite = 32 << 20, 1 << 20
	r, w, err := os.Pipe()
	if err != nil {
		os.Exit(9)
	}
	go func() {
		for {
			if _, err := w.Write(make([]byte, bite)); err != nil {
				return
			}
		}
	}()
	food := make([]byte, bite)
	for {
		b, err := unix.Mmap(-1, 0, piece, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			os.Exit(9)
		}
		for i := 0; i < len(b); i += os.Getpagesize() {
			b[i] = 1
		}
		if _, err := io.ReadFull(r, food); err != nil {
			os.Exit(9)
		}
	}
}

// tooMuch is a number that the compiler does not know.
func tooMuch() int { return 1 << (40 + len(os.Args)%2) }

// stepSeen is a line of steps.log: every step that was begun, by whatever worker.
type stepSeen struct {
	PID int
	stage.StepRequest
}

// misbehave runs the step of this process with the faults of the folder, and does not return; without a folder, or
// in a process that is no step, it does nothing.
func misbehave() {
	folder := os.Getenv(faultsVariable)
	if folder == "" || !isStep(os.Args[1:]) {
		return
	}
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	var doc struct{ Input stage.StepRequest }
	if err = errors.Join(err, json.Unmarshal(line, &doc)); err == nil {
		err = note(folder, stepSeen{os.Getpid(), doc.Input})
	}
	var armed *fault
	if err == nil {
		armed, err = arm(folder, &doc.Input)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the test's faults:", err)
		os.Exit(9)
	}
	out := &faultyWriter{out: os.Stdout}
	switch {
	case armed == nil:
	case armed.At == "" && (armed.Do == doEat || armed.Do == doAsk):
		out.confined = armed // there is no limit before
	case armed.At == "":
		armed.happen()
	default:
		out.fault = armed
	}
	os.Exit(stage.ChildMain(context.Background(), io.MultiReader(bytes.NewReader(line), in), out))
}

// note appends a line to steps.log.
func note(folder string, s stepSeen) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(folder, "steps.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// arm finds the fault that is meant for this step, and counts it.
func arm(folder string, req *stage.StepRequest) (*fault, error) {
	text, err := os.ReadFile(filepath.Join(folder, "faults.json"))
	if err != nil {
		return nil, err
	}
	var list []fault
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	for i := range list {
		f := &list[i]
		if !f.wants(req) {
			continue
		}
		for n := 0; n < f.Times || f.Times == 0; n++ {
			if f.Times == 0 {
				return f, nil
			}
			mark := fmt.Sprintf("%d-%s-%d.mark", i, filepath.Base(req.Capture), n)
			m, err := os.OpenFile(filepath.Join(folder, mark), os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				return f, m.Close()
			}
			if !errors.Is(err, os.ErrExist) {
				return nil, err
			}
		}
	}
	return nil, nil
}

// faultyWriter passes on what a step says, line by line, and lets the fault happen after the line that is its moment.
type faultyWriter struct {
	out      io.Writer
	fault    *fault // nil for none
	confined *fault // one that happens as soon as the process is confined
}

// Write writes one line: the child's protocol writes whole lines.
func (w *faultyWriter) Write(line []byte) (int, error) {
	n, err := w.out.Write(line)
	var m struct {
		Confined json.RawMessage
		Report   *stage.StepReport
	}
	switch {
	case w.fault == nil && w.confined == nil, json.Unmarshal(line, &m) != nil:
	case m.Confined != nil && w.confined != nil:
		w.confined.happen()
	case m.Report != nil && w.fault != nil && w.fault.isDue(m.Report):
		f := w.fault
		w.fault = nil // once: a process that was stopped may be let go
		f.happen()
	}
	return n, err
}
