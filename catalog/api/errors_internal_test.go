package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob"
)

type inputError struct{ bad bool }

func (e inputError) Error() string  { return "manifest.json: tracks: none" }
func (e inputError) BadInput() bool { return e.bad }

func TestAnswers(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx    context.Context //nolint:containedctx // of a table
		err    error
		code   int
		detail string
	}{
		{t.Context(), refuse(http.StatusTeapot, "tea"), http.StatusTeapot, ""},
		{t.Context(), ErrForbidden, http.StatusForbidden, "another app"},
		{t.Context(), ErrWrongState, http.StatusConflict, "present state"},
		{t.Context(), catalog.ErrInvalid, http.StatusBadRequest, "not valid"},
		{t.Context(), inputError{bad: true}, http.StatusBadRequest, "manifest.json: tracks: none"},
		{t.Context(), inputError{}, http.StatusInternalServerError, "request id"},
		{t.Context(), catalog.ErrNotFound, http.StatusNotFound, ""},
		{t.Context(), blob.ErrNotFound, http.StatusNotFound, ""},
		{t.Context(), context.DeadlineExceeded, http.StatusServiceUnavailable, "request id"},
		{t.Context(), errors.New("password is x"), http.StatusInternalServerError, "request id"},
		{gone, context.Canceled, statusClientGone, ""},
	} {
		e := answerTo(c.ctx, fmt.Errorf("do something: %w", c.err))
		require.Equal(t, c.code, e.Code, "%v", c.err)
		require.NotNil(t, e.Details)
		require.Contains(t, fmt.Sprint(e.Details), c.detail)
		require.NotContains(t, e.Message+fmt.Sprint(e.Details), "password")
	}
}
