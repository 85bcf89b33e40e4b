package config

import (
	"net/url"
	"path/filepath"
	"strings"

	"hearth/internal/paths"
)

// Volume sets cinder up.
type Volume struct {
	Backups  string `yaml:"backups" help:"where backups are kept: a directory, s3+https://HOST/BUCKET/PREFIX, or none; empty for the data directory"`
	S3Region string `yaml:"s3_region" help:"region of the S3 store; empty for us-east-1"`
	S3Key    string `yaml:"s3_key" help:"access key of the S3 store"`
	S3Secret string `yaml:"s3_secret" help:"secret key of the S3 store; better in the file or in HEARTH_VOLUME_S3_SECRET than in a flag"`

	Backends Backends `yaml:"backends" help:"where volumes are kept, a list of {name: …, driver: file, nfs, lvm, zfs, rbd or plugin, dir: …, group: …, pool: …, dataset: …, plugin: …, options: {…}}; empty: in the data directory"`
}

func (v Volume) check(say func(ok bool, format string, args ...any)) {
	v.Backends.check(say)
	switch endpoint, bucket, _, s3 := v.S3(); {
	case v.Backups == "", v.Backups == "none":
	case strings.HasPrefix(v.Backups, "s3+"):
		say(s3 && endpoint != "" && bucket != "", "volume.backups is %q: write s3+https://HOST/BUCKET, with /PREFIX if need be", v.Backups)
		say(v.S3Key != "" && v.S3Secret != "", "volume.backups is %q: set volume.s3_key and volume.s3_secret too", v.Backups)
	default:
		say(filepath.IsAbs(v.Backups), "volume.backups is %q: write the absolute path of a directory, s3+https://HOST/BUCKET, or none", v.Backups)
	}
}

// S3 takes the address of a bucket apart; ok is false for other stores.
func (v Volume) S3() (endpoint, bucket, prefix string, ok bool) {
	address, ok := strings.CutPrefix(v.Backups, "s3+")
	u, err := url.Parse(address)
	if !ok || err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", "", "", false
	}
	bucket, prefix, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
	return u.Scheme + "://" + u.Host, bucket, prefix, true
}

// BackupDir is the directory of backups, where they are in one.
func (v Volume) BackupDir(data paths.Data) string {
	if v.Backups != "" {
		return v.Backups
	}
	return data.Backups()
}
