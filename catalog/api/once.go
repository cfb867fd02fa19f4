package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"rushes/catalog"
)

const (
	// maxIdempotencyKey is the longest Idempotency-Key, in bytes.
	maxIdempotencyKey = 255
	// idempotencyHeader is the header of draft-ietf-httpapi-idempotency-key-header.
	idempotencyHeader = "Idempotency-Key"
	// graceTime is added to the time of a request before its reservation counts as
	// left by a process that died.
	graceTime = time.Minute
)

// once gives requests of one Idempotency-Key one outcome: the first answer that
// is a success is kept, and given again, with "Idempotency-Replayed: true", to
// whoever asks for the same with the same key. The key with another body or
// path is a 422, and while the first request is still being answered the next
// one is a 409, as the IETF's draft has it. Answers that are errors are not
// kept: nothing was done, so that the same request may be tried again.
func (a *API) once(body []byte, run http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values := r.Header.Values(idempotencyHeader)
		if len(values) == 0 {
			run(w, r)
			return
		}
		if len(values) > 1 || !validIdempotencyKey(values[0]) {
			refuse(http.StatusBadRequest, "bad request", "Idempotency-Key: expected 1 to 255 printable ASCII characters").write(w)
			return
		}
		now := a.config.Now()
		mine := catalog.Request{
			AppID: stateOf(r.Context()).app, Key: values[0], Digest: digestOf(r, body), Holder: randomHex(), CreatedAt: now,
		}
		there, reserved, err := a.config.Idempotency.ReserveRequest(r.Context(), mine,
			now.Add(-a.config.RequestTime-graceTime), now.Add(-a.config.IdempotencyTime))
		switch {
		case err != nil:
			answerOf(a.fail(r.Context(), err)).write(w)
		case reserved:
			a.first(w, r, mine, run)
		case there.Digest != mine.Digest:
			refuse(http.StatusUnprocessableEntity, "Idempotency-Key was used for another request").write(w)
		case there.Status == 0:
			w.Header().Set("Retry-After", "1")
			refuse(http.StatusConflict, "a request with this Idempotency-Key is being answered").write(w)
		default:
			w.Header().Set("Idempotency-Replayed", "true")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(there.Status)
			_, _ = w.Write(there.Body)
		}
	}
}

// first answers the first request with a key, and keeps the answer before it
// goes out. A panic gives the key free again on its way up.
func (a *API) first(w http.ResponseWriter, r *http.Request, mine catalog.Request, run http.HandlerFunc) {
	// The client may be gone by now; what is kept is kept for its next try.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), graceTime/2)
	defer cancel()
	kept := false
	defer func() {
		if kept {
			return
		}
		if err := a.config.Idempotency.ReleaseRequest(ctx, mine); err != nil {
			a.config.Log.ErrorContext(ctx, "give an idempotency key free", "request_id", stateOf(ctx).id, "error", err.Error())
		}
	}()
	answer := &held{ResponseWriter: w}
	run(answer, r)
	if answer.status >= http.StatusOK && answer.status < http.StatusMultipleChoices {
		mine.Status, mine.Body = answer.status, answer.body.Bytes()
		// Where it cannot be kept the reservation stays until it is stale, because
		// what was asked for is done.
		kept = true
		if err := a.config.Idempotency.AnswerRequest(ctx, mine); err != nil {
			a.config.Log.ErrorContext(ctx, "keep an idempotent answer", "request_id", stateOf(ctx).id, "error", err.Error())
		}
	}
	answer.send()
}

func validIdempotencyKey(key string) bool {
	return key != "" && len(key) <= maxIdempotencyKey &&
		!strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' })
}

// digestOf says what was asked for. The parts cannot run into each other: a
// method has no space and an escaped path no line feed.
func digestOf(r *http.Request, body []byte) string {
	h := sha256.New()
	h.Write([]byte(r.Method + " " + r.URL.EscapedPath() + "\n"))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
