package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"rushes/pipeline"
)

// Handler does the child's work. It gets Spec.Input as JSON, may call report at any
// time and from any goroutine until it returns, and returns what becomes
// Outcome.Result. Both become JSON. Its ctx ends when the parent wants it to stop or
// is gone. An error is carried to the parent with its kind (pipeline.KindOf), its
// text and, if any error of its chain has a method Code() string, that code.
type Handler func(ctx context.Context, input json.RawMessage, report func(any)) (any, error)

// Main is the child's side of Run: it reads what to do from stdin, confines the whole
// process, calls handle, and writes the result to stdout. It returns the exit status.
//
// It belongs at the very beginning of the program, because what was opened before it
// stays open, and it is the last thing that the process does: there is no way back
// out of the confinement, SIGINT, SIGTERM and SIGHUP are ignored from here on (the
// parent decides when to stop, and a service manager signals both), and the goroutine
// that waits for the end of stdin stays. When stdout is the process's standard
// output, Main keeps it to itself, and whatever else writes there, C libraries too,
// writes to standard error.
func Main(ctx context.Context, stdin io.Reader, stdout io.Writer, handle Handler) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	own, err := ownStdout(stdout)
	if err != nil {
		return pipeline.ExitOther
	}
	out := &speaker{w: own, broken: stop}
	in := bufio.NewReader(stdin)
	doc, err := readDocument(in)
	if err != nil {
		return out.fail(pipeline.Permanent(err))
	}
	missing, err := confine(doc.Confine)
	if err != nil {
		return out.fail(pipeline.Permanent(fmt.Errorf("confining the child process: %w", err)))
	}
	if doc.Confine.FileSize > 0 {
		// Go ignores the signal, so that the write fails with EFBIG; C code may have
		// lost that on the way to its error.
		out.tooLarge = make(chan os.Signal, 1)
		signal.Notify(out.tooLarge, syscall.SIGXFSZ)
		defer signal.Stop(out.tooLarge)
	}
	if err := out.say(message{Confined: &confined{Missing: missing}}); err != nil {
		return pipeline.ExitOther
	}
	go func() { // ends with the process: a read of a pipe cannot be interrupted
		defer stop()
		_, _ = io.Copy(io.Discard, in) //nolint:errcheck // either way nobody is there any more
	}()
	result, err := handle(ctx, doc.Input, out.report)
	if err == nil {
		err = out.finish(result)
	}
	if err != nil {
		return out.fail(err)
	}
	return pipeline.ExitOK
}

// readDocument reads the parent's only line.
func readDocument(in *bufio.Reader) (document, error) {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return document{}, fmt.Errorf("reading what to do: %w", noEOF(err))
	}
	var doc document
	if err := json.Unmarshal(line, &doc); err != nil {
		return document{}, fmt.Errorf("reading what to do: %w", err)
	}
	if doc.Version != protocolVersion {
		return document{}, fmt.Errorf("reading what to do: version %d, want %d", doc.Version, protocolVersion)
	}
	return doc, nil
}

// noEOF makes the end of a file what it is in the middle of a line.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ownStdout moves the protocol away from descriptor 1, and lets that be standard
// error: one forgotten printf must not cost an attempt.
func ownStdout(stdout io.Writer) (io.Writer, error) {
	f, ok := stdout.(*os.File)
	if !ok || f.Fd() != uintptr(unix.Stdout) {
		return stdout, nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("keeping standard output: %w", err)
	}
	if err := unix.Dup3(unix.Stderr, unix.Stdout, 0); err != nil {
		return nil, fmt.Errorf("turning standard output to standard error: %w", err)
	}
	return os.NewFile(uintptr(fd), "protocol"), nil
}

// speaker writes the child's lines. It may be used by several goroutines.
type speaker struct {
	broken   func()         // called when nobody reads any more
	tooLarge chan os.Signal // has one when a file became too large; nil without such a limit

	mu   sync.Mutex
	w    io.Writer
	over bool  // Result or Error is written
	bad  error // the first report that could not be written
}

// say writes one line.
func (s *speaker) say(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return pipeline.Permanent(fmt.Errorf("writing to the parent process: %w", err))
	}
	if len(line) >= maxLine {
		return pipeline.Permanent(fmt.Errorf("writing to the parent process: a line of %d bytes, more than %d: %w", len(line), maxLine, errLineTooLong))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil // a report of somebody who does not know yet
	}
	s.over = m.final()
	if _, err := s.w.Write(append(line, '\n')); err != nil {
		s.broken()
		return fmt.Errorf("writing to the parent process: %w", err)
	}
	return nil
}

// report is the handler's. What is wrong with a report is told with the result.
func (s *speaker) report(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		err = pipeline.Permanent(fmt.Errorf("writing a report: %w", err))
	} else {
		err = s.say(message{Report: text})
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.bad == nil {
			s.bad = err
		}
	}
}

// finish writes the result.
func (s *speaker) finish(result any) error {
	s.mu.Lock()
	bad := s.bad
	s.mu.Unlock()
	if bad != nil {
		return bad
	}
	text, err := json.Marshal(result)
	if err != nil {
		return pipeline.Permanent(fmt.Errorf("writing the result: %w", err))
	}
	return s.say(message{Result: text, Memory: peak()})
}

// fail writes the error and returns the exit status.
func (s *speaker) fail(err error) int {
	kind := pipeline.KindOf(err)
	f := failure{Kind: kind.String(), Message: cut(err.Error(), maxMessage)}
	if s.tooLarge != nil && (len(s.tooLarge) > 0 || errors.Is(err, syscall.EFBIG)) {
		f.Kind = string(FileSize)
	}
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		f.Code = coded.Code()
	}
	_ = s.say(message{Error: &f, Memory: peak()}) //nolint:errcheck // nobody is there to be told
	return kind.ExitCode()
}

// peak returns this process's largest resident size in bytes; 0 when it is unknown.
func peak() int64 {
	m, _ := readMemory("/proc/self")
	return m.peak
}
