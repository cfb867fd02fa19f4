package api

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"time"
)

// response counts what goes out. http.ResponseController finds what is below.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap returns what is below, for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the status.
func (w *response) WriteHeader(code int) {
	if w.status == 0 && code >= http.StatusOK {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write sends a piece of the body.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom sends a piece of the body without taking it through the process,
// where what is below can.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := io.Copy(w.ResponseWriter, r)
	w.bytes += n
	return n, err
}

// refusal takes what the mux says itself, which is text.
type refusal struct {
	header http.Header
	status int
}

// Header returns the mux's headers.
func (w *refusal) Header() http.Header { return w.header }

// WriteHeader keeps the status.
func (w *refusal) WriteHeader(code int) { w.status = code }

// Write drops the text.
func (w *refusal) Write(p []byte) (int, error) { return len(p), nil }

// held keeps an answer until it is known what becomes of it.
type held struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader keeps the status.
func (w *held) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
	}
}

// Write keeps a piece of the body.
func (w *held) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// send gives the answer out.
func (w *held) send() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.ResponseWriter.WriteHeader(w.status)
	// Only the connection can fail here, and it is the client's.
	_, _ = w.ResponseWriter.Write(w.body.Bytes())
}

const (
	// stallTime is how long a client may take to accept the next piece of a file.
	stallTime = time.Minute
	// pieceSize is that of the pieces, in bytes.
	pieceSize = 1 << 20
)

// patient moves the server's write deadline on with every piece, so that a
// large file may take long and a client that stalls may not.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	until   time.Time
}

// Unwrap returns what is below, for http.ResponseController.
func (w *patient) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *patient) wait() {
	if now := time.Now(); w.until.Sub(now) < stallTime-time.Second {
		w.until = now.Add(stallTime)
		// A connection that knows no deadlines has none to move.
		_ = w.control.SetWriteDeadline(w.until)
	}
}

// Write sends a piece of the body.
func (w *patient) Write(p []byte) (int, error) {
	w.wait()
	return w.ResponseWriter.Write(p)
}

// ReadFrom sends the body piece by piece. The kernel copies a file's pieces when
// there is nothing but one limit between it and the file.
func (w *patient) ReadFrom(r io.Reader) (total int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	for limited.N > 0 {
		w.wait()
		piece := min(limited.N, pieceSize)
		n, err := io.Copy(w.ResponseWriter, &io.LimitedReader{R: limited.R, N: piece})
		limited.N -= n
		total += n
		if err != nil || n < piece {
			return total, err
		}
	}
	return total, nil
}

// files serves the store's own signed addresses.
func (a *API) files(w http.ResponseWriter, r *http.Request) {
	a.config.Files.ServeHTTP(&patient{ResponseWriter: w, control: http.NewResponseController(w)}, r)
}
