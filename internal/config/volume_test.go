package config

import (
	"strings"
	"testing"
)

func TestWhereBackupsAre(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "none": "", "/mnt/backups": "", "relative": "absolute path", "s3+https://host/bucket": "s3_key", "s3+ftp://host/bucket": "s3+https", "s3+https://host": "s3+https",
	} {
		c := Default()
		c.Volume.Backups = text
		err := c.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	endpoint, bucket, prefix, ok := Volume{Backups: "s3+http://h:9000/b/p/q"}.S3()
	if !ok || endpoint != "http://h:9000" || bucket != "b" || prefix != "p/q" {
		t.Errorf("%q %q %q %v", endpoint, bucket, prefix, ok)
	}
	c := Default()
	c.Volume.S3Secret = "do not print"
	if body, err := c.YAML(); err != nil || strings.Contains(string(body), "do not print") {
		t.Errorf("the secret is printed: %s, %v", body, err)
	}
}
