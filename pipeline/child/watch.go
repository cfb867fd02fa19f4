package child

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

const (
	watchEvery = 250 * time.Millisecond
	// ioProgress is how many bytes a child that does not report has to read or write
	// for the watch to see progress. Go's runtime wakes itself through files too,
	// some bytes at a time, even in a program that is stuck.
	ioProgress = 256 << 10
	// lastWords is how long a hanging child has to write where it hangs.
	lastWords = time.Second
)

// progress is when the child last got on. Its methods may be called from several
// goroutines.
type progress struct {
	mu   sync.Mutex
	last time.Time
	held bool  // waiting for us
	io   int64 // bytes at the last mark
}

// mark notes progress.
func (p *progress) mark() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
}

// hold says that the child waits for us until release.
func (p *progress) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// release ends hold.
func (p *progress) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.held = time.Now(), false
}

// look takes the number of bytes read and written so far, and returns for how long
// the child has not got on.
func (p *progress) look(bytes int64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held || bytes-p.io >= ioProgress {
		p.last, p.io = now, bytes
	}
	return now.Sub(p.last)
}

// watch kills the child when it uses too much memory or does not get on, until its
// end.
func (p *process) watch(limits Limits) {
	every := watchEvery
	if limits.Idle > 0 {
		every = max(min(every, limits.Idle/4), 5*time.Millisecond)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	dir := procDir(p.handle.Pid)
	for {
		m, ok := readMemory(dir)
		bytes, _ := readIO(dir)
		select {
		case <-p.exited: // what was read may be of another process by now
			return
		default:
		}
		if ok {
			p.mu.Lock()
			p.peak = max(p.peak, m.peak)
			p.mu.Unlock()
		}
		idle := p.progress.look(bytes, time.Now())
		switch {
		case limits.Memory > 0 && m.used > limits.Memory:
			p.condemn(OutOfMemory, fmt.Sprintf("%d MiB, more than %d MiB", m.used>>20, limits.Memory>>20))
		case limits.Idle > 0 && idle >= limits.Idle:
			p.endHang(limits.Idle)
		}
		select {
		case <-p.exited:
			return
		case <-ticker.C:
		}
	}
}

// endHang kills a child that hangs, after asking it where: Go answers SIGQUIT with
// the stacks of all goroutines.
func (p *process) endHang(idle time.Duration) {
	p.mu.Lock()
	if p.fate == nil {
		p.fate = &Death{Reason: Hang, Signal: syscall.SIGKILL, Exit: -1, Summary: fmt.Sprintf("no progress for %v", idle)}
	}
	p.mu.Unlock()
	if p.handle.Signal(syscall.SIGQUIT) == nil {
		timer := time.NewTimer(lastWords)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
		}
	}
	p.kill()
}
