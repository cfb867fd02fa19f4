package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"rushes/catalog"
	"rushes/catalog/blob"
)

var (
	// ErrForbidden says that a thing belongs to another app. It answers 403.
	ErrForbidden = errors.New("it belongs to another app")

	// ErrWrongState says that what was asked for does not go with the state that
	// the thing is in. It answers 409.
	ErrWrongState = errors.New("not possible in its present state")
)

// Error is the body of every answer that is not a success.
type Error struct {
	// Code is the HTTP status.
	Code int `json:"code" doc:"HTTP status" example:"404"`
	// Message says what happened.
	Message string `json:"message" doc:"What happened, in one line"`
	// Details says more, for people; it is empty rather than null.
	Details []string `json:"details" nullable:"false" doc:"More about it, for people"`
}

var _ huma.StatusError = (*Error)(nil)

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// GetStatus returns the HTTP status.
func (e *Error) GetStatus() int { return e.Code }

// statusClientGone is for the log: nobody is there to see the answer.
const statusClientGone = 499

func refuse(code int, message string, details ...string) *Error {
	if details == nil {
		details = []string{}
	}
	return &Error{Code: code, Message: message, Details: details}
}

// answerTo is the one place that turns errors into answers. Errors that are not
// the caller's tell nothing but the request's id.
func answerTo(ctx context.Context, err error) *Error {
	var (
		ready *Error
		input interface{ BadInput() bool }
	)
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.Is(ctx.Err(), context.Canceled):
		return refuse(statusClientGone, "the client went away")
	case errors.Is(err, ErrForbidden):
		return refuse(http.StatusForbidden, "forbidden", ErrForbidden.Error())
	case errors.Is(err, ErrWrongState):
		return refuse(http.StatusConflict, "conflict", err.Error())
	case errors.Is(err, catalog.ErrInvalid), errors.As(err, &input) && input.BadInput():
		return refuse(http.StatusBadRequest, "bad request", err.Error())
	case errors.Is(err, catalog.ErrNotFound), errors.Is(err, blob.ErrNotFound):
		return refuse(http.StatusNotFound, "not found")
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "the request took too long", requestDetail(ctx))
	}
	return refuse(http.StatusInternalServerError, "internal error", requestDetail(ctx))
}

func requestDetail(ctx context.Context) string { return "request id: " + stateOf(ctx).id }

// write sends the error where no huma handler does.
func (e *Error) write(w http.ResponseWriter) {
	h := w.Header()
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	h.Set("Content-Type", "application/json")
	if e.Code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(e.Code)
	// Only the connection can fail here, and it is the client's.
	_ = json.NewEncoder(w).Encode(e)
}

// inOurShape turns the errors that huma makes itself into ours. It leaves out
// the values, which may be what nobody should see again.
func inOurShape(_ huma.Context, status string, v any) (any, error) {
	theirs, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code, err := strconv.Atoi(status)
	if err != nil {
		code = http.StatusInternalServerError
	}
	message := theirs.Detail
	if code = ourStatus(code); code == http.StatusBadRequest {
		message = "bad request"
	}
	e := refuse(code, message)
	for _, d := range theirs.Errors {
		if d == nil {
			continue
		}
		text := d.Message
		if d.Location != "" {
			text = d.Location + ": " + text
		}
		e.Details = append(e.Details, text)
	}
	return e, nil
}

// ourStatus maps the statuses that huma answers to those that api.md knows.
func ourStatus(code int) int {
	if code == http.StatusUnprocessableEntity {
		return http.StatusBadRequest
	}
	return code
}
