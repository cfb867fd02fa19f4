package sqlstore

import (
	"context"
	"fmt"
	"time"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// ReserveRequest writes r down as the first one of its app and key, without an
// answer, and reports true. Where there is a row for them already it returns
// that row and false, except that it replaces rows made before stale that have
// no answer, and rows made before expired.
func (s *Store) ReserveRequest(ctx context.Context, r catalog.Request, stale, expired time.Time) (_ catalog.Request, first bool, err error) {
	var row sqlc.Request
	err = s.inTx(ctx, func(t tx) error {
		n, err := t.PutRequest(ctx, sqlc.PutRequestParams{
			AppID: r.AppID, RequestKey: r.Key, Digest: r.Digest, Holder: r.Holder, CreatedAt: micros(r.CreatedAt),
		})
		if err == nil && n == 0 {
			n, err = t.TakeRequest(ctx, sqlc.TakeRequestParams{
				AppID: r.AppID, RequestKey: r.Key, Digest: r.Digest, Holder: r.Holder, CreatedAt: micros(r.CreatedAt),
				Stale: micros(stale), Expired: micros(expired),
			})
		}
		if err != nil {
			return err
		}
		first = n > 0
		row, err = t.RequestByKey(ctx, r.AppID, r.Key)
		return err
	})
	if err != nil {
		return catalog.Request{}, false, fmt.Errorf("reserve request of app %q: %w", r.AppID, err)
	}
	return requestFromRow(row), first, nil
}

// AnswerRequest adds the answer to the row of r, if r.Holder still has it.
func (s *Store) AnswerRequest(ctx context.Context, r catalog.Request) error {
	err := s.inTx(ctx, func(t tx) error {
		_, err := t.AnswerRequest(ctx, sqlc.AnswerRequestParams{
			AppID: r.AppID, RequestKey: r.Key, Holder: r.Holder, Status: int64(r.Status), Body: string(r.Body),
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("answer request of app %q: %w", r.AppID, err)
	}
	return nil
}

// ReleaseRequest removes the row of r, if r.Holder still has it and it has no
// answer.
func (s *Store) ReleaseRequest(ctx context.Context, r catalog.Request) error {
	err := s.inTx(ctx, func(t tx) error {
		_, err := t.ReleaseRequest(ctx, sqlc.ReleaseRequestParams{AppID: r.AppID, RequestKey: r.Key, Holder: r.Holder})
		return err
	})
	if err != nil {
		return fmt.Errorf("release request of app %q: %w", r.AppID, err)
	}
	return nil
}

// ForgetRequests removes the rows made before expired.
func (s *Store) ForgetRequests(ctx context.Context, expired time.Time) error {
	err := s.inTx(ctx, func(t tx) error {
		_, err := t.ForgetRequests(ctx, micros(expired))
		return err
	})
	if err != nil {
		return fmt.Errorf("forget requests: %w", err)
	}
	return nil
}

func requestFromRow(r sqlc.Request) catalog.Request {
	request := catalog.Request{
		AppID: r.AppID, Key: r.RequestKey, Digest: r.Digest, Holder: r.Holder,
		CreatedAt: fromMicros(r.CreatedAt), Status: int(r.Status),
	}
	if r.Body != "" {
		request.Body = []byte(r.Body)
	}
	return request
}
