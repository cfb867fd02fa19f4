package api

import (
	"bytes"
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

// stallTime is how long a client may take to accept the next piece of a file.
const stallTime = time.Minute

// patient moves the server's write deadline on with every piece, so that a
// large file may take long and a client that stalls may not.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	until   time.Time
}

// Unwrap returns what is below, for http.ResponseController.
func (w *patient) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write sends a piece of the body.
func (w *patient) Write(p []byte) (int, error) {
	if now := time.Now(); w.until.Sub(now) < stallTime-time.Second {
		w.until = now.Add(stallTime)
		// A connection that knows no deadlines has none to move.
		_ = w.control.SetWriteDeadline(w.until)
	}
	return w.ResponseWriter.Write(p)
}

// files serves the store's own signed addresses.
func (a *API) files(w http.ResponseWriter, r *http.Request) {
	a.config.Files.ServeHTTP(&patient{ResponseWriter: w, control: http.NewResponseController(w)}, r)
}
