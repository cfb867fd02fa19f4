package child

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// drainTime is how long the pipes of an ended child may stay open. Nobody else
// should hold them; where the kernel lacks seccomp, a hostile child might have
// forked.
const drainTime = 2 * time.Second

// Run starts a child, gives it its input, and waits for its end. It calls onReport,
// which may be nil, for each report, one at a time and never after it has returned.
//
// The error is a *Death when the child died, an *Error with what its handler
// returned, and something else when the child could not be started. When ctx ends,
// the child is told so and has Spec.Grace to end by itself; the error then wraps
// ctx's error and its cause as well, unless the child still had a result. Nothing is
// left when Run returns: no process, no goroutine, no open file.
func Run(ctx context.Context, spec Spec, onReport func(json.RawMessage)) (Outcome, error) {
	if ctx.Err() != nil {
		return Outcome{}, fmt.Errorf("child process not started: %w", stopped(ctx))
	}
	spec, err := spec.prepare()
	if err != nil {
		return Outcome{}, err
	}
	doc, err := spec.document()
	if err != nil {
		return Outcome{}, err
	}
	p, err := start(ctx, spec)
	if err != nil {
		return Outcome{}, err
	}
	if onReport == nil {
		onReport = func(json.RawMessage) {}
	}
	var work sync.WaitGroup
	work.Go(func() { p.tell(doc) })
	work.Go(func() { p.listen(onReport) })
	work.Go(func() { p.log.consume(p.stderr) })
	work.Go(func() { p.watch(spec.Limits) })
	p.await(ctx, spec.Grace)
	work.Wait()
	p.keeper.Wait()
	return p.outcome(ctx)
}

// document returns the line that the child is given.
func (s Spec) document() ([]byte, error) {
	input, err := json.Marshal(s.Input)
	if err != nil {
		return nil, fmt.Errorf("child: writing its input: %w", err)
	}
	doc, err := json.Marshal(document{Version: protocolVersion, Input: input, Confine: confinement{
		Readable: s.Readable, Writable: s.Writable,
		Memory: s.Limits.Memory, CPU: s.Limits.CPU, FileSize: s.Limits.FileSize,
	}})
	if err != nil {
		return nil, fmt.Errorf("child: writing its input: %w", err)
	}
	return append(doc, '\n'), nil
}

// stopped returns ctx's error, and its cause when that says more.
func stopped(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// process is a running child.
type process struct {
	handle                *os.Process
	spec                  Spec
	stdin, stdout, stderr *os.File // our ends
	keeper                sync.WaitGroup
	exited                chan struct{} // closed after state is set
	state                 *os.ProcessState
	log                   stderrLog // consume's, then outcome's
	progress              progress
	oom                   oomCounter
	oomBefore             int64

	final   message  // listen's, then outcome's
	missing []string // listen's, then outcome's

	mu    sync.Mutex
	peak  int64  // largest resident size seen
	fate  *Death // why we killed it
	grace bool   // we killed it because its grace was over
}

// start starts the child. The kernel kills the child when the thread that started it
// ends, not when the process does: so one goroutine keeps that thread to itself from
// the start to the child's end.
func start(ctx context.Context, spec Spec) (*process, error) {
	p := &process{spec: spec, exited: make(chan struct{}), log: stderrLog{log: spec.Log}}
	cmd, theirs, err := p.command(ctx)
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	p.keeper.Go(func() {
		lockThread(func() {
			err := cmd.Start()
			started <- err
			if err == nil {
				_ = cmd.Wait() //nolint:errcheck // the state says it all
				p.state = cmd.ProcessState
				close(p.exited)
			}
		})
	})
	err = <-started
	closeAll(theirs...)
	if err != nil {
		p.keeper.Wait()
		closeAll(p.stdin, p.stdout, p.stderr)
		return nil, fmt.Errorf("starting child %s: %w", cmd.Path, err)
	}
	p.handle = cmd.Process
	p.progress.mark()
	if counter, ok := findOOMCounter("/", p.handle.Pid); ok {
		p.oom = counter
		p.oomBefore, _ = counter.read()
	}
	return p, nil
}

// await waits for the child's end, and brings it about when ctx ends.
func (p *process) await(ctx context.Context, grace time.Duration) {
	select {
	case <-p.exited:
	case <-ctx.Done():
		closeAll(p.stdin) // means "stop"
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
			p.mu.Lock()
			p.grace = true
			p.mu.Unlock()
			p.kill()
			<-p.exited
		}
	}
	closeAll(p.stdin)
	until := time.Now().Add(drainTime)
	_ = p.stdout.SetReadDeadline(until) //nolint:errcheck // pipes have deadlines
	_ = p.stderr.SetReadDeadline(until) //nolint:errcheck // pipes have deadlines
}

// tell writes the document. A child that does not read it dies of something else.
func (p *process) tell(doc []byte) {
	_, _ = io.Copy(p.stdin, bytes.NewReader(doc)) //nolint:errcheck // see above
}

// listen reads what the child says, until its end.
func (p *process) listen(onReport func(json.RawMessage)) {
	defer closeAll(p.stdout)
	lines := bufio.NewReaderSize(p.stdout, 64<<10)
	for {
		line, err := readLine(lines)
		if errors.Is(err, errLineTooLong) {
			p.condemn(Protocol, fmt.Sprintf("a line is longer than %d MiB", maxLine>>20))
			return
		}
		if err != nil {
			return
		}
		if err := p.hear(line, onReport); err != nil {
			p.condemn(Protocol, err.Error())
			return
		}
	}
}

// hear acts on one line.
func (p *process) hear(line []byte, onReport func(json.RawMessage)) error {
	m, err := parseMessage(line)
	switch {
	case err != nil:
		return err
	case p.final.final():
		return fmt.Errorf("line %.100q after the result", line)
	case m.Confined != nil && p.missing == nil:
		p.missing = append([]string{}, m.Confined.Missing...)
	case m.Confined != nil:
		return errors.New("it has confined itself twice")
	case m.Error == nil && p.missing == nil:
		return fmt.Errorf("line %.100q before it has confined itself", line)
	case m.final():
		p.final = m
	default:
		// However long our own side takes, the child is not to blame.
		p.progress.hold()
		onReport(m.Report)
		p.progress.release()
		return nil
	}
	p.progress.mark()
	return nil
}

// condemn kills the child for a reason, unless it is condemned already.
func (p *process) condemn(reason Reason, summary string) {
	p.mu.Lock()
	if p.fate == nil {
		p.fate = &Death{Reason: reason, Signal: syscall.SIGKILL, Exit: -1, Summary: summary}
	}
	p.mu.Unlock()
	p.kill()
}

// kill sends SIGKILL. It is harmless after the end: os.Process knows.
func (p *process) kill() { _ = p.handle.Kill() } //nolint:errcheck // it has ended already

// outcome puts together how the child ended. Everything has come to rest.
func (p *process) outcome(ctx context.Context) (Outcome, error) {
	closeAll(p.stderr)
	out := Outcome{
		CPU:         p.state.UserTime() + p.state.SystemTime(),
		Memory:      max(p.peak, p.final.Memory),
		Confinement: p.missing,
	}
	err := p.verdict(ctx.Err() != nil)
	switch {
	case err == nil:
		out.Result = p.final.Result
	case ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", stopped(ctx), err)
	}
	return out, err
}

// verdict says what the child's end means, nil for a result.
func (p *process) verdict(told bool) error {
	done := p.final.Result != nil && p.state.Success()
	if p.fate != nil && (!done || p.fate.Reason == Protocol) {
		p.fate.Detail = p.log.detail()
		return p.fate
	}
	if p.grace && !done {
		return errors.New("child process killed: it did not stop when told to")
	}
	crashed := p.state.ExitCode() == goCrash || p.state.ExitCode() < 0
	switch {
	case p.final.Error != nil && !crashed && p.final.Error.Kind == string(FileSize):
		return &Death{
			Reason: FileSize, Signal: syscall.SIGXFSZ, Exit: p.state.ExitCode(),
			Summary: cut(p.final.Error.Message, maxSummary), Detail: p.log.detail(),
		}
	case p.final.Error != nil && !crashed:
		return newError(*p.final.Error, told)
	case done:
		return nil
	}
	end := ending{state: p.state, cpuLimit: p.spec.Limits.CPU, crash: string(p.log.head)}
	if kills, ok := p.oom.read(); ok {
		end.oomKills = kills > p.oomBefore
	}
	return end.death(p.log.detail())
}

// goCrash is the exit status of a Go program after a panic or a fatal error.
const goCrash = 2
