package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"rushes/catalog/blob"
	"rushes/catalog/blob/dir"
	"rushes/catalog/blob/s3"
	"rushes/pipeline/stage"
)

// s3Flags say how S3 is talked to: as store, as backup store and for captures. Credentials come from where the tools of
// AWS have them: environment, shared files, the role of the machine or container.
type s3Flags struct {
	Endpoint       string `help:"Address of S3, for stores other than AWS." env:"RUSHES_S3_ENDPOINT" placeholder:"URL"`
	PublicEndpoint string `help:"Address under which those who get links reach it. Default: the same." env:"RUSHES_S3_PUBLIC_ENDPOINT" placeholder:"URL"`
	Region         string `help:"Region to sign for. Default: as AWS' tools have it, or us-east-1 with an endpoint." env:"RUSHES_S3_REGION" placeholder:"NAME"`
	PathStyle      bool   `help:"Put the bucket into the path instead of the host name." env:"RUSHES_S3_PATH_STYLE"`
	Checksums      string `help:"When checksums newer than MD5 are sent: when-supported, or when-required for stores that do not know them." enum:"when-supported,when-required" default:"when-supported" env:"RUSHES_S3_CHECKSUMS" placeholder:"WHEN"`
	SSE            string `name:"sse" help:"Encryption by the store: AES256 or aws:kms." enum:",AES256,aws:kms" default:"" env:"RUSHES_S3_SSE" placeholder:"KIND"`
	KMSKey         string `name:"kms-key" help:"Key for aws:kms instead of the account's own." env:"RUSHES_S3_KMS_KEY" placeholder:"ID"`
	StorageClass   string `help:"Storage class of objects instead of the bucket's own." env:"RUSHES_S3_STORAGE_CLASS" placeholder:"NAME"`
}

// openBucket opens a bucket below a prefix.
func (f *s3Flags) openBucket(ctx context.Context, bucket, prefix string) (*s3.Store, error) {
	return s3.Open(ctx, s3.Config{
		Bucket: bucket, Prefix: prefix, Endpoint: f.Endpoint, PublicEndpoint: f.PublicEndpoint, Region: f.Region, PathStyle: f.PathStyle,
		ChecksumMode: s3.ChecksumMode(f.Checksums), SSE: f.SSE, SSEKeyID: f.KMSKey, StorageClass: f.StorageClass,
	})
}

// place is an open store: one of folder and bucket is set.
type place struct {
	name   string // its path, or its address without '/' at the end
	store  blob.Store
	folder *dir.Store
	bucket *s3.Store
}

// openPlace opens a store: the bucket of an address, or a folder, made if it is not there.
func (f *s3Flags) openPlace(ctx context.Context, where string) (p place, err error) {
	bucket, prefix, isS3 := stage.SplitS3(where)
	if !isS3 {
		if strings.Contains(where, "://") {
			return p, fmt.Errorf("%s: neither an s3:// address nor a folder", where)
		}
		if p.name, err = filepath.Abs(where); err != nil {
			return p, err
		}
		if p.folder, err = dir.Open(p.name); err != nil {
			return p, err
		}
		p.store = p.folder
		return p, nil
	}
	prefix = strings.TrimSuffix(prefix, "/")
	if p.bucket, err = f.openBucket(ctx, bucket, prefix); err != nil {
		return p, fmt.Errorf("%s: %w", where, err)
	}
	p.name, p.store = strings.TrimSuffix("s3://"+bucket+"/"+prefix, "/"), p.bucket
	return p, nil
}

// where says where an object lies in this place.
func (p place) where(key string) (string, error) {
	if p.folder != nil {
		return p.folder.Path(key)
	}
	return p.name + "/" + key, nil
}

func (p place) close() error {
	var errs []error
	if p.folder != nil {
		errs = append(errs, p.folder.Close())
	}
	if p.bucket != nil {
		errs = append(errs, p.bucket.Close())
	}
	return errors.Join(errs...)
}

const (
	// staleUpload is how old an upload is that nobody finishes any more: far older than any job may become.
	staleUpload = 7 * 24 * time.Hour
	// staleEvery is how often they are looked for.
	staleEvery = time.Hour
)

// storeChores are what one process at a time does for the stores.
func (d *data) storeChores(log *slog.Logger) (chores []func(context.Context) error) {
	if d.backup != nil {
		chores = append(chores, func(ctx context.Context) error {
			moved, err := d.backup.Move(ctx)
			if moved.Objects > 0 {
				log.Info("objects came back from the backup store", "objects", moved.Objects, "bytes", moved.Bytes, "left", moved.Left)
			}
			return err
		})
	}
	for _, p := range []place{d.main, d.behind} {
		if p.bucket == nil {
			continue
		}
		var last time.Time
		chores = append(chores, func(ctx context.Context) error {
			if time.Since(last) < staleEvery {
				return nil
			}
			n, err := p.bucket.AbortStale(ctx, staleUpload)
			if n > 0 {
				log.Info("uploads that nobody finished are removed", "store", p.name, "uploads", n)
			}
			if err == nil {
				last = time.Now()
			}
			return err
		})
	}
	return chores
}
