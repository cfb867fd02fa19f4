package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"text/tabwriter"
	"time"

	"rushes/catalog"
)

type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make an access key and its secret for an app. The secret is shown this once."`
	List   keysListCmd   `cmd:"" help:"List access keys, without their secrets."`
	Revoke keysRevokeCmd `cmd:"" help:"Make access keys worthless, for good."`
}

// defaultApp is the app of those who have only one.
const defaultApp = "default"

type keysCreateCmd struct {
	App      string `help:"Id of the app: its keys see the same rooms." default:"default" placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// Validate refuses ids that would need quoting in addresses and logs.
func (c *keysCreateCmd) Validate() error { return checkApp(c.App) }

func checkApp(id string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(id) {
		return fmt.Errorf("--app: %q is not up to 64 letters, digits, '-' and '_'", clean(id))
	}
	return nil
}

// Run makes the key. The catalog keeps the secret as it is, because the signature of a token cannot be checked with
// less; only this shows it.
func (c *keysCreateCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	key, secret := make([]byte, 12), make([]byte, 48) // as long as those of 100ms
	for _, b := range [][]byte{key, secret} {
		if _, err := rand.Read(b); err != nil {
			return fmt.Errorf("make an access key: %w", err)
		}
	}
	made, err := d.catalog.CreateKey(ctx, catalog.AccessKey{AccessKey: hex.EncodeToString(key), AppID: c.App,
		Secret: catalog.Secret(base64.RawURLEncoding.EncodeToString(secret))})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, struct {
			catalog.AccessKey
			Secret string `json:"secret"`
		}{made, made.Secret.Reveal()})
	}
	_, err = fmt.Fprintf(e.stdout, "app         %s\naccess key  %s\nsecret      %s\nThe secret is not shown again.\n", made.AppID, made.AccessKey, made.Secret.Reveal())
	return err
}

type keysListCmd struct {
	App      string `help:"Only keys of this app." placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// Run prints the keys.
func (c *keysListCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	keys, err := d.catalog.AccessKeys(ctx, c.App)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, append([]catalog.AccessKey{}, keys...))
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ACCESS KEY\tAPP\tCREATED\tREVOKED")
	for _, k := range keys {
		revoked := "-"
		if !k.RevokedAt.IsZero() {
			revoked = k.RevokedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", clean(k.AccessKey), clean(k.AppID), k.CreatedAt.UTC().Format(time.RFC3339), revoked)
	}
	return t.Flush()
}

type keysRevokeCmd struct {
	Keys     []string `arg:"" name:"access-key" help:"Access keys."`
	dataFlag `embed:""`
}

// Run revokes one key after the other, and goes on after one that is not there.
func (c *keysRevokeCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	var errs []error
	for _, key := range c.Keys {
		err := d.catalog.RevokeKey(ctx, key)
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			errs = append(errs, fmt.Errorf("there is no access key %q; see `rushes keys list`", clean(key)))
		case err != nil:
			errs = append(errs, err)
		default:
			fmt.Fprintf(e.stdout, "%s  revoked\n", key)
		}
	}
	return errors.Join(errs...)
}
