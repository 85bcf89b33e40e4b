package s3

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/backup"
	"hearth/internal/driver/backup/backuptest"
)

func open(t *testing.T, cfg Config) *Bucket {
	t.Helper()
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSuite(t *testing.T) {
	for name, prefix := range map[string]string{"a whole bucket": "", "a part of a bucket": "cloud/backups"} {
		t.Run(name, func(t *testing.T) {
			backuptest.Run(t, func(t *testing.T) backup.Objects {
				_, server := serve(t)
				return open(t, Config{Endpoint: server.URL, Bucket: "ember", Prefix: prefix, Key: accessKey, Secret: secretKey})
			})
		})
	}
}

// TestWhatIsWrongIsSaid names a bucket that is not there, and a key that is wrong.
func TestWhatIsWrongIsSaid(t *testing.T) {
	s, server := serve(t)
	for want, cfg := range map[string]Config{
		"no bucket other":        {Endpoint: server.URL, Bucket: "other", Key: accessKey, Secret: secretKey},
		"refuses the access key": {Endpoint: server.URL, Bucket: "ember", Key: "STRANGER", Secret: secretKey},
	} {
		err := open(t, cfg).Put(t.Context(), "a", nil)
		if !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%v: does not say %q", err, want)
		}
	}
	b := open(t, Config{Endpoint: server.URL, Bucket: "ember", Key: accessKey, Secret: secretKey})
	s.broken = 1 // one refusal is got over
	if err := b.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Error(err)
	}
	for _, cfg := range []Config{{}, {Endpoint: "ftp://x", Bucket: "ember", Key: "k", Secret: "s"}, {Endpoint: "http://x/path", Bucket: "b", Key: "k", Secret: "s"}, {Endpoint: "http://x", Key: "k", Secret: "s"}} {
		if _, err := Open(cfg); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
