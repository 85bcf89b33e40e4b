// Package s3 keeps the objects of backups in a bucket of a store that speaks S3
// (Amazon's, MinIO, Ceph, Garage): requests signed with version 4, addresses by
// path, so that no name service has to know the bucket.
package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"hearth/internal/cloud"
	"hearth/internal/driver/backup"
)

// Config says which bucket, and who asks.
type Config struct {
	Endpoint string // http://… or https://…
	Region   string // "" for us-east-1
	Bucket   string // which must be there
	Prefix   string // before every name; "" for none
	Key      string
	Secret   string
}

// Bucket is objects in a bucket.
type Bucket struct {
	Config
	client *minio.Client
}

var _ backup.Objects = (*Bucket)(nil)

// Open makes a client of a bucket; nothing is asked yet.
func Open(cfg Config) (*Bucket, error) {
	const op = "backup.Open"
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, cloud.E(op, cloud.Invalid, "%q is no address of an S3 store: write https://host or http://host:port", cfg.Endpoint)
	}
	if cfg.Bucket == "" || cfg.Key == "" || cfg.Secret == "" {
		return nil, cloud.E(op, cloud.Invalid, "backups in %s need a bucket, an access key and a secret key", cfg.Endpoint)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Prefix != "" {
		cfg.Prefix = strings.Trim(cfg.Prefix, "/") + "/"
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.Key, cfg.Secret, ""), Secure: u.Scheme == "https", Region: cfg.Region, BucketLookup: minio.BucketLookupPath,
		MaxRetries: 3,
	})
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "the store %s cannot be used: %w", cfg.Endpoint, err)
	}
	return &Bucket{cfg, client}, nil
}

// Service implements backup.Objects.
func (b *Bucket) Service() string { return backup.ServiceName + "s3" }

// Where implements backup.Objects.
func (b *Bucket) Where() string {
	return strings.TrimSuffix("s3+"+strings.TrimSuffix(b.Endpoint, "/")+"/"+b.Bucket+"/"+b.Prefix, "/")
}

var nameForm = regexp.MustCompile(`^[0-9A-Za-z-][0-9A-Za-z.-]*(/[0-9A-Za-z-][0-9A-Za-z.-]*)*$`)

func (b *Bucket) key(op, name string) (string, error) {
	if !nameForm.MatchString(name) {
		return "", cloud.E(op, cloud.Invalid, "%q cannot be the name of an object", name)
	}
	return b.Prefix + name, nil
}

// Put implements backup.Objects: one request, so the store has all of it or
// nothing.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	const op = "backup.Put"
	key, err := b.key(op, name)
	if err != nil {
		return err
	}
	_, err = b.client.PutObject(ctx, b.Bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
		ContentType: "application/octet-stream", DisableMultipart: true, SendContentMd5: true,
	})
	return b.failed(op, err)
}

// Get implements backup.Objects.
func (b *Bucket) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	const op = "backup.Get"
	key, err := b.key(op, name)
	if err != nil {
		return nil, err
	}
	body, err := b.client.GetObject(ctx, b.Bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, b.failed(op, err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, cloud.E(op, cloud.TooLarge, "%s has more than the %d bytes that it should have", name, most)
	}
	return data, b.failed(op, err)
}

// Remove implements backup.Objects.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	const op = "backup.Remove"
	key, err := b.key(op, name)
	if err != nil {
		return err
	}
	err = b.failed(op, b.client.RemoveObject(ctx, b.Bucket, key, minio.RemoveObjectOptions{}))
	if cloud.Is(err, cloud.NotFound) {
		return nil
	}
	return err
}

// List implements backup.Objects.
func (b *Bucket) List(ctx context.Context, prefix string, each func(string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // so that an early end stops the client's reading on
	for object := range b.client.ListObjects(ctx, b.Bucket, minio.ListObjectsOptions{Prefix: b.Prefix + prefix, Recursive: true}) {
		if object.Err != nil {
			return b.failed("backup.List", object.Err)
		}
		if err := each(strings.TrimPrefix(object.Key, b.Prefix)); err != nil {
			return err
		}
	}
	return nil
}

// failed gives an error of the store its kind.
func (b *Bucket) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	var said minio.ErrorResponse
	if errors.As(err, &said) {
		switch said.Code {
		case minio.NoSuchKey:
			return cloud.E(op, cloud.NotFound, "there is no such object in %s", b.Where())
		case minio.NoSuchBucket:
			return cloud.E(op, cloud.Unavailable, "there is no bucket %s at %s: make it, or name another (volume.backups)", b.Bucket, b.Endpoint)
		case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
			return cloud.E(op, cloud.Unavailable, "the store %s refuses the access key: %s", b.Endpoint, said.Message)
		}
	}
	return cloud.E(op, cloud.Unavailable, "the store of the backups %s cannot be used: %w", b.Endpoint, err)
}
