package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	protocolVersion = 1
	// maxLine is the longest line either side writes: a result may hold a whole
	// timeline.
	maxLine = 16 << 20
	// maxMessage bounds the text of an error, which ends up in the catalog.
	maxMessage = 4 << 10
)

// document is the only line that the parent writes. After it, the end of the
// child's standard input means "stop".
type document struct {
	Version int             `json:"v"`
	Confine confinement     `json:"confine"`
	Input   json.RawMessage `json:"input"`
}

// confinement is what the child takes away from itself. All paths are absolute.
type confinement struct {
	Readable []string      `json:"readable,omitempty"`
	Writable []string      `json:"writable,omitempty"`
	Memory   int64         `json:"memory,omitempty"` // bytes
	CPU      time.Duration `json:"cpu,omitempty"`
	FileSize int64         `json:"file_size,omitempty"` // bytes
}

// message is one line of the child. Exactly one of Confined, Report, Result and
// Error is there; Confined comes first, Result or Error last.
type message struct {
	Confined *confined       `json:"confined,omitempty"`
	Report   json.RawMessage `json:"report,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *failure        `json:"error,omitempty"`
	Memory   int64           `json:"memory,omitempty"` // with Result or Error: largest resident size
}

// confined says that the child has confined itself, and what it had to do without.
type confined struct {
	Missing []string `json:"missing,omitempty"`
}

// failure is an error of the handler.
type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`
}

// final says that no line may follow.
func (m message) final() bool { return m.Result != nil || m.Error != nil }

// parseMessage reads one line of the child.
func parseMessage(line []byte) (message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("line %.100q: %w", line, err)
	}
	kinds := 0
	for _, there := range []bool{m.Confined != nil, m.Report != nil, m.Result != nil, m.Error != nil} {
		if there {
			kinds++
		}
	}
	if kinds != 1 {
		return message{}, fmt.Errorf("line %.100q is not one of confined, report, result and error", line)
	}
	return m, nil
}

// errLineTooLong says that a line is longer than maxLine.
var errLineTooLong = errors.New("a line is too long")

// readLine returns the next line without its end. The last line needs no end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, errLineTooLong
		}
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		}
		return nil, err
	}
}
