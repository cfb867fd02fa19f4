package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// blamed is an error as other packages make them.
type blamed struct{ input, lasting bool }

func (blamed) Error() string     { return "blamed" }
func (b blamed) BadInput() bool  { return b.input }
func (b blamed) Permanent() bool { return b.lasting }

// around has the method, says no, and wraps one that says yes.
type around struct{ err error }

func (around) Error() string   { return "around" }
func (around) BadInput() bool  { return false }
func (a around) Unwrap() error { return a.err }

func TestKinds(t *testing.T) {
	t.Parallel()
	bad := blamed{input: true}
	for _, tt := range []struct {
		name    string
		err     error
		kind    Kind
		exit    int
		status  int
		outcome Outcome
	}{
		{"nothing", nil, KindOK, 0, http.StatusOK, Finish},
		{"silent error", io.ErrUnexpectedEOF, KindTransient, 1, http.StatusServiceUnavailable, Retry},
		{"says no twice", blamed{}, KindTransient, 1, http.StatusServiceUnavailable, Retry},
		{"bad input", bad, KindBadInput, 3, http.StatusBadRequest, Fail},
		{"wrapped", fmt.Errorf("open: %w", &StageError{Stage: "open", Err: bad}), KindBadInput, 3, http.StatusBadRequest, Fail},
		{"joined", errors.Join(io.EOF, errors.Join(io.EOF, bad)), KindBadInput, 3, http.StatusBadRequest, Fail},
		{"behind one that says no", around{bad}, KindBadInput, 3, http.StatusBadRequest, Fail},
		{"lasting", blamed{lasting: true}, KindPermanent, 1, http.StatusInternalServerError, Fail},
		{"marked", fmt.Errorf("x: %w", Permanent(io.EOF)), KindPermanent, 1, http.StatusInternalServerError, Fail},
		{"marked bad input", Permanent(bad), KindBadInput, 3, http.StatusBadRequest, Fail},
		{"disk full", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, KindTransient, 1, http.StatusServiceUnavailable, Retry},
		{"quota", syscall.EDQUOT, KindTransient, 1, http.StatusServiceUnavailable, Retry},
		{"too many files", syscall.EMFILE, KindTransient, 1, http.StatusServiceUnavailable, Retry},
		{"no permission", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, KindPermanent, 1, http.StatusInternalServerError, Fail},
		{"read-only", os.NewSyscallError("mkdir", syscall.EROFS), KindPermanent, 1, http.StatusInternalServerError, Fail},
		{"file size limit", syscall.EFBIG, KindPermanent, 1, http.StatusInternalServerError, Fail},
		{"cancelled", fmt.Errorf("copy: %w", context.Canceled), KindInterrupted, 1, http.StatusServiceUnavailable, Requeue},
		{"cancelled, and then", errors.Join(bad, context.Canceled), KindInterrupted, 1, http.StatusServiceUnavailable, Requeue},
		{"too slow", errors.Join(bad, context.DeadlineExceeded), KindTransient, 1, http.StatusServiceUnavailable, Retry},
		{"busy", ErrScratchBusy, KindTransient, 1, http.StatusServiceUnavailable, Retry},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			kind := KindOf(tt.err)
			require.Equal(t, tt.kind, kind, kind.String())
			require.Equal(t, tt.exit, kind.ExitCode())
			require.Equal(t, tt.exit, ExitCode(0, 0, tt.err))
			require.Equal(t, tt.status, kind.HTTPStatus())
			require.Equal(t, tt.outcome, kind.Outcome())
		})
	}
	require.NoError(t, Permanent(nil))
	marked := Permanent(io.EOF)
	require.ErrorIs(t, marked, io.EOF)
	require.Equal(t, "EOF", marked.Error())
}

func TestKindNames(t *testing.T) {
	t.Parallel()
	names := map[Kind]string{KindOK: "ok", KindBadInput: "bad-input", KindPermanent: "permanent",
		KindTransient: "transient", KindInterrupted: "interrupted"}
	for kind, name := range names {
		require.Equal(t, name, kind.String())
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	bad := blamed{input: true}
	for _, tt := range []struct {
		made, failed int
		err          error
		want         int
	}{
		{2, 0, nil, ExitOK},
		{0, 0, nil, ExitOK},
		{1, 1, nil, ExitPartial},
		{1, 1, io.EOF, ExitPartial},
		{1, 1, bad, ExitPartial},
		{1, 0, bad, ExitPartial},
		{0, 2, bad, ExitBadInput},
		{0, 0, bad, ExitBadInput},
		{0, 2, nil, ExitOther},
		{0, 1, io.EOF, ExitOther},
		{1, 0, io.EOF, ExitOther},
		{1, 1, context.Canceled, ExitOther},
	} {
		require.Equal(t, tt.want, ExitCode(tt.made, tt.failed, tt.err), "%+v", tt)
	}
}
