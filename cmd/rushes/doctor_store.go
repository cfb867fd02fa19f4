package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"rushes/catalog/blob"
	"rushes/catalog/blob/signed"
	"rushes/catalog/sqlstore"
	"rushes/pipeline"
)

// openCatalog opens the catalog alone.
func (f *dataFlag) openCatalog(ctx context.Context) (*sqlstore.Store, error) {
	cfg, err := f.catalogConfig()
	if err != nil {
		return nil, err
	}
	return sqlstore.Open(ctx, cfg)
}

// store does with a store what jobs and their readers do: it writes an object, reads it, makes a link, reads by that,
// and deletes the object.
func (c *doctorCmd) store(ctx context.Context, u *checkup, what, where string) {
	if where == "" {
		where = filepath.Join(c.Data, "blobs")
	}
	what += " " + clean(where)
	p, err := c.openPlace(ctx, where)
	if err != nil {
		u.fail(what, err)
		return
	}
	began := time.Now()
	key := "doctor/" + fmt.Sprint(began.UnixNano()) + ".txt"
	linkErr, err := c.useStore(ctx, p, key)
	if err = errors.Join(err, p.close()); err != nil {
		u.fail(what, err)
		return
	}
	u.ok("%s: written, read and deleted an object (%v)", what, time.Since(began).Round(time.Millisecond))
	switch {
	case linkErr == nil && p.bucket != nil:
		u.ok("%s: a link opens the object", what)
	case linkErr == nil:
		u.ok("%s: links are signed for %s and open the object", what, clean(c.BaseURL))
	case p.bucket != nil && c.PublicEndpoint != "":
		u.warn("%s: a link does not open the object from here: %s", what, clean(line(linkErr)))
	default:
		u.fail(what+": links", linkErr)
	}
}

// useStore gives the error of the link apart: a public endpoint need not be reached from here.
func (c *doctorCmd) useStore(ctx context.Context, p place, key string) (linkErr, err error) {
	const text = "rushes doctor"
	if err := p.store.Put(ctx, key, strings.NewReader(text), blob.PutOptions{Size: int64(len(text)), ContentType: "text/plain"}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.store.Delete(context.WithoutCancel(ctx), key)) }()
	r, err := p.store.Get(ctx, key, blob.Range{})
	if err != nil {
		return nil, err
	}
	back, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if string(back) != text {
		return nil, fmt.Errorf("wrote %q and read %q", text, back)
	}
	return c.followLink(ctx, p, key, text), nil
}

// followLink reads an object by a link to it. One of a folder is served here for that moment, because the service
// itself need not run now.
func (c *doctorCmd) followLink(ctx context.Context, p place, key, want string) (err error) {
	link := ""
	if p.bucket != nil {
		if link, err = p.bucket.PresignGet(ctx, key, time.Minute, blob.PresignOptions{}); err != nil {
			return err
		}
		return expect(ctx, link, want)
	}
	signer, err := c.temporarySigner()
	if err != nil {
		return err
	}
	if link, err = signer.PresignGet(ctx, key, time.Minute, blob.PresignOptions{}); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- serveHTTP(ctx, l, &http.Server{Handler: signed.NewHandler(signer, p.store, nil), ReadHeaderTimeout: doctorPatience})
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-done)
	}()
	here, err := url.Parse(link)
	if err != nil {
		return errors.New("the link is no address")
	}
	here.Scheme, here.Host = "http", l.Addr().String()
	return expect(ctx, here.String(), want)
}

// temporarySigner signs with the keys that are given, or, lest looking leaves a file behind, with one of its own where
// there are none yet.
func (c *doctorCmd) temporarySigner() (*signed.Signer, error) {
	f := c.linkFlags
	if f.SigningKeys == "" && firstMissing(filepath.Join(c.Data, keyFile)) != "" {
		f.SigningKeys = "doctor=only-for-this-one-moment"
	}
	s, err := f.fileSigner(c.Data)
	var decided *exitError
	if errors.As(err, &decided) && decided.code == pipeline.ExitUsage {
		err = decided.err
	}
	return s, err
}

// expect reads an address, of which errors show the host only: it opens an object for whoever sees it.
func expect(ctx context.Context, link, want string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return errors.New("the link is no address")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}}
	resp, err := client.Do(req)
	if err != nil {
		var shown *url.Error
		if errors.As(err, &shown) {
			err = shown.Err
		}
		return fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", req.URL.Host, err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s", req.URL.Host, resp.Status)
	case string(got) != want:
		return fmt.Errorf("%s gives other bytes", req.URL.Host)
	}
	return nil
}
