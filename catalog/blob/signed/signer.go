package signed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rushes/catalog/blob"
)

const (
	// purpose keeps a signature from meaning anything elsewhere.
	purpose = "rushes signed object v1\n"
	// minSecret is the shortest secret of a key, in bytes.
	minSecret = 16
	// maxKeyID bounds the id of a key, in bytes.
	maxKeyID = 64
)

// Key is a key to sign with.
type Key struct {
	// ID names the key in addresses: up to 64 letters, digits, '-' and '_'. A
	// key that gets another secret gets another id.
	ID string
	// Secret is the key itself, 16 bytes or more, better 32 random ones.
	Secret blob.Secret
}

// Config says how addresses look and who may open them.
type Config struct {
	// BaseURL is where clients reach the handler, http or https with a host and
	// optionally a path; addresses begin with it.
	BaseURL string
	// Path is the path below which the handler gets its requests, where something
	// on the way changes it; "" for that of BaseURL.
	Path string
	// Keys are the current key and the older ones that still open addresses.
	Keys []Key
	// Now tells the time; nil for time.Now.
	Now func() time.Time
}

// Signer makes signed addresses and checks them. It is safe for concurrent use.
type Signer struct {
	base string // without a '/' at its end
	path string // likewise
	keys []signingKey
	now  func() time.Time
}

type signingKey struct {
	id     string
	secret []byte
}

var _ blob.Presigner = (*Signer)(nil)

// New makes a Signer, or says what is wrong with cfg, without its secrets.
func New(cfg Config) (*Signer, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("signed addresses: the base is no http address of scheme, host and path")
	}
	s := &Signer{base: strings.TrimRight(u.String(), "/"), path: strings.TrimRight(u.EscapedPath(), "/"), now: cfg.Now}
	if cfg.Path != "" {
		s.path = strings.TrimRight(cfg.Path, "/")
	}
	if s.now == nil {
		s.now = time.Now
	}
	if len(cfg.Keys) == 0 {
		return nil, errors.New("signed addresses: no key to sign with")
	}
	for _, k := range cfg.Keys {
		key := signingKey{id: k.ID, secret: []byte(k.Secret.Reveal())}
		switch {
		case !validID(k.ID):
			return nil, fmt.Errorf("signed addresses: key id %q is not of 1 to %d letters, digits, '-' and '_'", k.ID, maxKeyID)
		case len(key.secret) < minSecret:
			return nil, fmt.Errorf("signed addresses: key %s has fewer than %d bytes", k.ID, minSecret)
		case slices.ContainsFunc(s.keys, func(other signingKey) bool { return other.id == k.ID }):
			return nil, fmt.Errorf("signed addresses: two keys %s", k.ID)
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

func validID(id string) bool {
	return id != "" && len(id) <= maxKeyID && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// PresignGet returns a signed address of the object under key; see
// blob.Presigner.
func (s *Signer) PresignGet(ctx context.Context, key string, expires time.Duration, o blob.PresignOptions) (string, error) {
	if err := errors.Join(blob.CheckKey(key), ctx.Err(), o.CheckPresign(), blob.CheckExpires(expires)); err != nil {
		return "", fmt.Errorf("sign %s: %w", key, err)
	}
	k := s.keys[0]
	// Rounded up, so that it lasts as long as was asked for.
	query := "e=" + strconv.FormatInt(s.now().Add(expires+time.Second-1).Unix(), 10) + "&k=" + k.id
	if o.ContentType != "" {
		query += "&c=" + url.QueryEscape(o.ContentType)
	}
	if o.FileName != "" {
		query += "&n=" + url.QueryEscape(o.FileName)
	}
	if o.Inline {
		query += "&i=1"
	}
	path := escapeKey(key)
	return s.base + "/" + path + "?" + query + "&s=" + k.sign(path, query), nil
}

func (k signingKey) sign(path, query string) string {
	mac := hmac.New(sha256.New, k.secret)
	_, _ = mac.Write([]byte(purpose + path + "?" + query)) // hashes never fail
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// escapeKey percent-encodes all but the unreserved characters (RFC 3986 section
// 2.3) and '/', so that nobody on the way finds anything to improve.
func escapeKey(key string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// grant is what an address allows.
type grant struct {
	key     string
	options blob.PresignOptions
	expires time.Time
}

var (
	errSignature = errors.New("the address is not one that was signed here")
	errExpired   = errors.New("the address has expired")
)

// open checks an escaped path and a query as they stand in a request. Nothing
// of them is taken apart before the signature is found to be right.
func (s *Signer) open(path, query string) (grant, error) {
	path, below := strings.CutPrefix(path, s.path+"/")
	signed, signature, ok := cutLast(query, "&s=")
	if !below || !ok {
		return grant{}, errSignature
	}
	right := 0
	for _, k := range s.keys { // the query's own word for the key is not asked
		right |= hmacEqual(k.sign(path, signed), signature)
	}
	if right == 0 {
		return grant{}, errSignature
	}
	g, err := parse(path, signed)
	if err != nil {
		return grant{}, errSignature
	}
	if !s.now().Before(g.expires) {
		return grant{}, errExpired
	}
	return g, nil
}

func hmacEqual(a, b string) int {
	if hmac.Equal([]byte(a), []byte(b)) {
		return 1
	}
	return 0
}

func cutLast(s, separator string) (before, after string, ok bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// parse reads what was signed.
func parse(path, query string) (grant, error) {
	key, err := url.PathUnescape(path)
	if err != nil {
		return grant{}, err
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return grant{}, err
	}
	seconds, err := strconv.ParseInt(values.Get("e"), 10, 64)
	if err := errors.Join(err, blob.CheckKey(key)); err != nil {
		return grant{}, err
	}
	return grant{
		key: key, expires: time.Unix(seconds, 0),
		options: blob.PresignOptions{FileName: values.Get("n"), ContentType: values.Get("c"), Inline: values.Get("i") == "1"},
	}, nil
}
