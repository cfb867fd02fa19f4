package api

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"
)

// Timeouts bounds what a connection may take of the server.
type Timeouts struct {
	// ReadHeader is the time for a request's header; 0 means 5 s.
	ReadHeader time.Duration
	// Read is the time for a whole request; 0 means 30 s.
	Read time.Duration
	// Write is the time from the header's end to the answer's; 0 means 60 s. Files
	// have as much for every piece.
	Write time.Duration
	// Idle is how long a connection waits for its next request; 0 means 2 min.
	Idle time.Duration
	// HeaderBytes is the size of the largest header; 0 means 32 KiB.
	HeaderBytes int
}

// Server returns a server for the handler with these limits, which logs what
// goes wrong with connections to log; nil discards it. The caller sets the
// address and runs it.
func (t Timeouts) Server(h http.Handler, log *slog.Logger) *http.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cmp.Or(t.ReadHeader, 5*time.Second),
		ReadTimeout:       cmp.Or(t.Read, 30*time.Second),
		WriteTimeout:      cmp.Or(t.Write, time.Minute),
		IdleTimeout:       cmp.Or(t.Idle, 2*time.Minute),
		MaxHeaderBytes:    cmp.Or(t.HeaderBytes, 32<<10),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
