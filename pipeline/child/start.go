package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// command returns the command to start, opens our ends of its pipes, and returns the
// child's ends, which are to be closed once it has started or not.
func (p *process) command(ctx context.Context) (*exec.Cmd, []*os.File, error) {
	path, name, err := p.spec.program()
	if err != nil {
		return nil, nil, err
	}
	var files []*os.File
	pipe := func() (r, w *os.File) {
		if err != nil {
			return nil, nil
		}
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w
	}
	// Ending ctx asks the child before it kills, which os/exec cannot.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, p.spec.Args...)
	cmd.Args[0] = name
	cmd.Env = p.spec.environment()
	theirIn, ourIn := pipe()
	ourOut, theirOut := pipe()
	ourErr, theirErr := pipe()
	if err != nil {
		closeAll(files...)
		return nil, nil, fmt.Errorf("child: making its pipes: %w", err)
	}
	// Files and not interfaces: with those, os/exec would wait for goroutines.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, theirErr
	p.stdin, p.stdout, p.stderr = ourIn, ourOut, ourErr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // Ctrl-C in a terminal is for the worker alone
		Pdeathsig: syscall.SIGKILL,
	}
	return cmd, []*os.File{theirIn, theirOut, theirErr}, nil
}

// lockThread runs f with the calling goroutine bound to its thread.
func lockThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f()
}

// closeAll closes pipes. Closing a pipe loses no data that anybody waits for, and
// one that is closed already is no error.
func closeAll(files ...*os.File) {
	for _, f := range files {
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			continue // close(2) of a pipe does not fail otherwise
		}
	}
}
