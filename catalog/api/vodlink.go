package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"path"
	"strings"
	"time"

	"rushes/catalog"
)

// vodPath begins the addresses of playlists: a token and the playlist's path in
// its package follow.
const vodPath = "/v2/vod/"

const (
	linkVersion  = 1
	keyIDSize    = 4
	expirySize   = 8
	assetIDSize  = 12
	linkBodySize = 1 + keyIDSize + expirySize + assetIDSize
	// linkSize is a multiple of 3, so that the token has no spare bits that could
	// be altered without being noticed.
	linkSize = linkBodySize + sha256.Size
)

// linkSigner signs the addresses of playlists. The token of an address is
//
//	version, key id, expiry in Unix seconds, asset id, HMAC-SHA256
//
// in base64url, where the HMAC covers the four and the playlist's path: it
// opens that playlist of that asset and nothing else.
type linkSigner struct {
	keys []catalog.Secret // the first one signs
}

// vodLink is what a token opens.
type vodLink struct {
	assetID string
	path    string // inside the package
	expires time.Time
}

// sign returns the token of the link. Its expiry is cut to the second.
func (s *linkSigner) sign(l vodLink) (string, error) {
	id, err := hex.DecodeString(l.assetID)
	if err != nil || len(id) != assetIDSize {
		return "", fmt.Errorf("sign a link: asset id %q: %w", l.assetID, catalog.ErrInvalid)
	}
	body := make([]byte, 0, linkSize)
	body = append(body, linkVersion)
	body = append(body, keyID(s.keys[0])...)
	body = binary.BigEndian.AppendUint64(body, uint64(max(l.expires.Unix(), 0))) //nolint:gosec // not negative
	body = append(body, id...)
	return base64.RawURLEncoding.EncodeToString(append(body, linkMAC(s.keys[0], body, l.path)...)), nil
}

// open returns what the token opens at path, or false when it is not ours, was
// altered or belongs to another path. The caller looks at the expiry.
func (s *linkSigner) open(token, path string) (vodLink, bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(linkSize) || strings.ContainsAny(token, "\r\n") {
		return vodLink{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || raw[0] != linkVersion {
		return vodLink{}, false
	}
	body, mac := raw[:linkBodySize], raw[linkBodySize:]
	for _, key := range s.keys {
		if !hmac.Equal(keyID(key), body[1:1+keyIDSize]) || !hmac.Equal(linkMAC(key, body, path), mac) {
			continue
		}
		seconds := binary.BigEndian.Uint64(body[1+keyIDSize:])
		if seconds > math.MaxInt32*1000 {
			return vodLink{}, false
		}
		return vodLink{
			assetID: hex.EncodeToString(body[1+keyIDSize+expirySize:]),
			path:    path,
			expires: time.Unix(int64(seconds), 0), //nolint:gosec // bounded above
		}, true
	}
	return vodLink{}, false
}

// keyID tells keys apart without telling anything about them.
func keyID(key catalog.Secret) []byte {
	digest := sha256.Sum256([]byte("rushes link key id\x00" + key.Reveal()))
	return digest[:keyIDSize]
}

func linkMAC(key catalog.Secret, body []byte, path string) []byte {
	h := hmac.New(sha256.New, []byte(key.Reveal()))
	h.Write([]byte("rushes vod link\x00"))
	h.Write(body)
	h.Write([]byte(path))
	return h.Sum(nil)
}

// PackageURL returns an address that plays the package of a room-vod asset for
// that long: its multivariant playlist, by its storage key. Every address in it is
// signed in its turn.
func (a *API) PackageURL(assetID, key string, expires time.Duration) (string, error) {
	return a.vodURL(assetID, path.Base(key), a.config.Now().Add(expires))
}

// vodURL returns the address of a playlist of a package.
func (a *API) vodURL(assetID, file string, expires time.Time) (string, error) {
	token, err := a.vod.sign(vodLink{assetID: assetID, path: file, expires: expires})
	if err != nil {
		return "", err
	}
	return a.config.PublicURL + (&url.URL{Path: vodPath + token + "/" + file}).EscapedPath(), nil
}
