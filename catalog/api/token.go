package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"rushes/catalog"
)

const (
	// tokenLeeway is the clock skew that is allowed (api.md).
	tokenLeeway = 10 * time.Second
	// maxToken is the size in bytes of the longest token that is looked at.
	maxToken = 8 << 10

	tokenType    = "management"
	tokenVersion = 2
)

// errToken says why a token was refused. Its text goes to the caller.
type errToken string

// Error returns the reason.
func (e errToken) Error() string { return string(e) }

// claims are those of a management token (api.md).
type claims struct {
	AccessKey string `json:"access_key"`
	Type      string `json:"type"`
	Version   int    `json:"version"`
	jwt.RegisteredClaims
}

var _ jwt.ClaimsValidator = (*claims)(nil)

// Validate holds the claims against api.md, beside what the parser checks.
func (c *claims) Validate() error {
	switch {
	case c.Type != tokenType:
		return errToken(`type is not "management"`)
	case c.Version != tokenVersion:
		return errToken("version is not 2")
	case c.ID == "":
		return errToken("jti is missing")
	case c.IssuedAt == nil:
		return errToken("iat is missing")
	case c.NotBefore == nil:
		return errToken("nbf is missing")
	}
	return nil
}

// authenticate returns the key that signed the request's token.
func (a *API) authenticate(r *http.Request) (catalog.AccessKey, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	var (
		key catalog.AccessKey
		err error = errToken("no bearer token")
	)
	if strings.EqualFold(scheme, "Bearer") && token != "" {
		key, err = a.keyOfToken(r.Context(), token)
	}
	var reason errToken
	if errors.As(err, &reason) {
		return catalog.AccessKey{}, refuse(http.StatusUnauthorized, "Token validation error", string(reason))
	}
	return key, err
}

// keyOfToken checks a management token. What is wrong with it is an errToken,
// other errors are those of the key's lookup.
func (a *API) keyOfToken(ctx context.Context, token string) (catalog.AccessKey, error) {
	if len(token) > maxToken {
		return catalog.AccessKey{}, errToken("the token is too long")
	}
	var (
		key    catalog.AccessKey
		broken error
	)
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithLeeway(tokenLeeway),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(a.config.Now),
	)
	_, err := parser.ParseWithClaims(token, &claims{}, func(t *jwt.Token) (any, error) {
		c, ok := t.Claims.(*claims)
		if !ok || c.AccessKey == "" {
			return nil, errToken("access_key is missing")
		}
		found, err := a.config.Keys.KeyByAccessKey(ctx, c.AccessKey)
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			return nil, errToken("access_key is not known")
		case err != nil:
			broken = fmt.Errorf("look up the access key of a token: %w", err)
			return nil, broken
		case found.Secret == "":
			return nil, errToken("access_key is not known")
		}
		key = found
		return []byte(found.Secret.Reveal()), nil
	})
	switch {
	case broken != nil:
		return catalog.AccessKey{}, broken
	case err != nil:
		return catalog.AccessKey{}, reasonOf(err)
	}
	return key, nil
}

// reasonOf puts the parser's errors into few words that repeat nothing of the
// token.
func reasonOf(err error) errToken {
	var ours errToken
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "the token is malformed"
	case errors.Is(err, jwt.ErrTokenExpired):
		return "the token is expired"
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "the token is not valid yet"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "exp is missing"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "the signature is not valid; it must be HS256 with the app secret"
	}
	return "the token cannot be verified"
}
