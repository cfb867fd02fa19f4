package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/catalog/blob/signed"
	"rushes/pipeline"
)

const (
	// filesPath is where a node serves the objects of a folder by signed addresses.
	filesPath = "/files/"
	// keyFile is the file of the signing keys in the data folder, where no flag gives any.
	keyFile = "signing-keys"
	// shortestKey is the number of characters of the shortest secret to sign with.
	shortestKey = 16
)

// linkFlags say how addresses are signed that Rushes serves itself.
type linkFlags struct {
	BaseURL     string         `help:"Address under which those who get links reach this service, without a path." default:"http://127.0.0.1:8470" env:"RUSHES_BASE_URL" placeholder:"URL"`
	SigningKeys catalog.Secret `help:"Keys that sign links, as NAME=SECRET,NAME=SECRET: the first one signs, all of them are taken. The same for all processes. Default: signing-keys in the data folder, made when it is needed." env:"RUSHES_SIGNING_KEYS" placeholder:"LIST"`
}

// signingKey is a key by its name.
type signingKey struct {
	name   string
	secret catalog.Secret
}

// keys reads the flag, or the data folder's file, which is made if it is not there.
func (f *linkFlags) keys(folder string) ([]signingKey, error) {
	if f.SigningKeys != "" {
		keys, err := parseKeys(f.SigningKeys.Reveal())
		if err != nil {
			return nil, &exitError{code: pipeline.ExitUsage, err: fmt.Errorf("--signing-keys: %w", err)}
		}
		return keys, nil
	}
	name := filepath.Join(folder, keyFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKeys(name)
	}
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	keys, err := parseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("signing keys: %s: %w", name, err)
	}
	return keys, nil
}

// makeKeys writes a file with one new key; of several processes that do so, the first one's stays.
func makeKeys(name string) (_ []byte, err error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+keyFile+"-*") // readable for nobody else
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = fmt.Fprintf(f, "key-1=%s\n", hex.EncodeToString(secret[:]))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(name)
}

// parseKeys reads keys, with a comma or the end of a line between them. Its errors show no secret.
func parseKeys(text string) (keys []signingKey, err error) {
	for i, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' || r == ' ' }) {
		name, secret, ok := strings.Cut(entry, "=")
		if !ok || name == "" || len(secret) < shortestKey {
			return nil, fmt.Errorf("key %d is not NAME=SECRET with a secret of %d characters or more", i+1, shortestKey)
		}
		keys = append(keys, signingKey{name: name, secret: catalog.Secret(secret)})
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key")
	}
	return keys, nil
}

// derived gives a key for one use: what is signed for one of them opens nothing in another.
func (k signingKey) derived(use string) catalog.Secret {
	mac := hmac.New(sha256.New, []byte(k.secret.Reveal()))
	mac.Write([]byte("rushes " + use)) // a hash does not fail
	return catalog.Secret(mac.Sum(nil))
}

// fileSigner makes and checks the addresses of the objects that Rushes serves itself.
func (f *linkFlags) fileSigner(folder string) (*signed.Signer, error) {
	keys, err := f.keys(folder)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(f.BaseURL)
	if err != nil || base.Host == "" || strings.Trim(base.Path, "/") != "" {
		return nil, &exitError{code: pipeline.ExitUsage, err: errors.New("--base-url: it is not like https://media.example.com")}
	}
	cfg := signed.Config{BaseURL: strings.TrimSuffix(f.BaseURL, "/") + strings.TrimSuffix(filesPath, "/")}
	for _, k := range keys {
		cfg.Keys = append(cfg.Keys, signed.Key{ID: k.name, Secret: k.derived("files").Reveal})
	}
	s, err := signed.New(cfg)
	if err != nil {
		return nil, &exitError{code: pipeline.ExitUsage, err: fmt.Errorf("links: %w", err)}
	}
	return s, nil
}

// vodKeys are the keys of the links of packages.
func (f *linkFlags) vodKeys(folder string) (secrets []catalog.Secret, err error) {
	keys, err := f.keys(folder)
	for _, k := range keys {
		secrets = append(secrets, k.derived("vod"))
	}
	return secrets, err
}

// presigner makes addresses of objects where they lie: at S3, or here.
type presigner struct {
	data *data
	// signer is asked for when it is needed first: it may write a file.
	signer func() (*signed.Signer, error)
}

var _ blob.Presigner = (*presigner)(nil)

// presigner gives what makes links to objects of the store.
func (f *linkFlags) presigner(d *data) *presigner {
	return &presigner{data: d, signer: sync.OnceValues(func() (*signed.Signer, error) { return f.fileSigner(d.folder) })}
}

// PresignGet returns an address of the object; see blob.Presigner. Of one that waits in the backup store, it is an
// address there.
func (p *presigner) PresignGet(ctx context.Context, key string, expires time.Duration, o blob.PresignOptions) (string, error) {
	from := p.data.main
	if p.data.backup != nil {
		behind, err := p.data.backup.BackedUp(ctx, key)
		if err != nil {
			return "", err
		}
		if behind {
			from = p.data.behind
		}
	}
	if from.bucket != nil {
		return from.bucket.PresignGet(ctx, key, expires, o)
	}
	s, err := p.signer()
	if err != nil {
		return "", err
	}
	return s.PresignGet(ctx, key, expires, o)
}

type assetsLinkCmd struct {
	ID        string        `arg:"" help:"The asset's id."`
	Expires   time.Duration `help:"How long the address opens the asset: 60s to 168h." default:"72h"`
	JSON      bool          `name:"json" help:"Print JSON."`
	dataFlag  `embed:""`
	linkFlags `embed:""`
}

// Validate checks what kong's tags cannot.
func (c *assetsLinkCmd) Validate() error {
	if c.Expires < time.Minute || c.Expires > blob.MaxPresign {
		return fmt.Errorf("--expires: %v is not between %v and %v", c.Expires, time.Minute, blob.MaxPresign)
	}
	return nil
}

// assetLink is the answer of link, as the API has it.
type assetLink struct {
	ID     string `json:"id"`
	Path   string `json:"path"`
	URL    string `json:"url"`
	Expiry int64  `json:"expiry"`
}

// Run prints an address that opens the asset.
func (c *assetsLinkCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	a, err := d.catalog.AssetByID(ctx, c.ID)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return fmt.Errorf("no asset has the id %q; see `rushes assets list`", clean(c.ID))
	case err != nil:
		return err
	case a.Status != catalog.AssetCompleted || a.Path == "":
		return fmt.Errorf("asset %s has no file: its status is %s", a.ID, a.Status)
	case a.Type == catalog.RoomVOD && path.Ext(a.Path) != ".zip":
		return fmt.Errorf("asset %s is a package of many files: only a running service can sign its playlists; ask it for GET /v2/recording-assets/%s/presigned-url", a.ID, a.ID)
	}
	out := assetLink{ID: a.ID, Path: a.Path, Expiry: int64(c.Expires / time.Second)}
	out.URL, err = c.presigner(d).PresignGet(ctx, a.Path, c.Expires.Truncate(time.Second), blob.PresignOptions{
		FileName: path.Base(a.Path), ContentType: blob.MediaType(a.Path), Inline: path.Ext(a.Path) != ".zip",
	})
	if err != nil {
		return fmt.Errorf("link of asset %s: %w", a.ID, err)
	}
	if c.JSON {
		return printJSON(e.stdout, out)
	}
	_, err = fmt.Fprintln(e.stdout, out.URL)
	return err
}
