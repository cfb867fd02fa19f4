package child

import (
	"bufio"
	"io"
	"log/slog"
	"regexp"
)

const (
	keepHead   = 4 << 10  // of a crash message
	keepTail   = 12 << 10 // of whatever came last
	logLines   = 1000     // a child in a loop must not fill the disk with logs
	stderrLine = 4 << 10  // longer lines are cut in pieces
)

// crashLine matches the first line of a crash message. A trace of many goroutines
// is longer than what is kept of the end, so the beginning is kept apart.
var crashLine = regexp.MustCompile(`^(?:panic: |fatal error: |SIG[A-Z]+: |runtime: out of memory|unexpected fault address|terminate called)`)

// stderrLog keeps what matters of a child's standard error. One goroutine may call
// consume; the others wait for it.
type stderrLog struct {
	log    *slog.Logger // nil for none
	logged int
	head   []byte // from the crash message's first line on
	full   bool   // head is
	tail   []byte // the last lines
}

// consume reads to the end.
func (s *stderrLog) consume(r io.Reader) {
	lines := bufio.NewReaderSize(r, stderrLine)
	for {
		line, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		s.add(line)
	}
}

func (s *stderrLog) add(line []byte) {
	if s.log != nil && s.logged <= logLines {
		if s.logged < logLines {
			s.log.Info("child", slog.String("line", cut(string(line), stderrLine)))
		} else {
			s.log.Warn("child writes too much to be logged")
		}
		s.logged++
	}
	if !s.full && (len(s.head) > 0 || crashLine.Match(line)) {
		short := line[:min(len(line), keepHead/4)]
		if len(s.head)+len(short) < keepHead {
			s.head = append(append(s.head, short...), '\n')
			return
		}
		s.full = true
	}
	s.tail = append(append(s.tail, line...), '\n')
	if len(s.tail) > 2*keepTail {
		s.tail = append(s.tail[:0], s.tail[len(s.tail)-keepTail:]...)
	}
}

// detail returns the beginning of the crash message and the end of everything. What
// came before the crash message may be in the end, and then stands after it.
func (s *stderrLog) detail() string {
	tail := s.tail
	if len(tail) > keepTail {
		tail = tail[len(tail)-keepTail:]
	}
	return cut(string(s.head)+string(tail), keepHead+keepTail)
}
