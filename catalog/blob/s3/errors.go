package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"rushes/catalog/blob"
)

// translate adds the sentinel that an error of the SDK stands for, and the
// context's own error where that is why the call ended.
func (s *Store) translate(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		if errors.Is(err, cause) {
			return err
		}
		return fmt.Errorf("%w (%w)", cause, err)
	}
	sentinel := sentinelOf(err)
	if sentinel == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", sentinel, err)
}

func sentinelOf(err error) error {
	switch code := errorCode(err); code {
	case "NoSuchBucket", "NoSuchUpload":
		return nil // as missing as the object, but another matter
	case "NoSuchKey":
		return blob.ErrNotFound
	case "InvalidRange":
		return blob.ErrInvalidRange
	case "PreconditionFailed":
		return blob.ErrExists
	case "KeyTooLongError":
		return blob.ErrInvalidKey
	case "ExistingObjectIsDirectory", "ObjectParentIsFile", "ExistingObjectIsFile":
		return blob.ErrConflict // stores on top of a file system
	}
	switch {
	case isStatus(err, http.StatusNotFound):
		return blob.ErrNotFound // a HEAD has no room for a code
	case isStatus(err, http.StatusRequestedRangeNotSatisfiable):
		return blob.ErrInvalidRange
	}
	return nil
}

func errorCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

// isStatus reports whether err is the store's answer with this HTTP status.
func isStatus(err error, status int) bool {
	var response *awshttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == status
}
