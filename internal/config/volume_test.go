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

func TestWhereVolumesAre(t *testing.T) {
	const uuid = "BwtWUV-MO99-w2eJ-vsml-wjO3-Za48-2HUZar"
	for text, want := range map[string]string{
		"":               "",
		"[{name: file}]": "",
		"[{name: fast, driver: lvm, group: " + uuid + ", pool: thin}, {name: share, driver: nfs, dir: /srv/share}]":     "",
		"[{name: fast, driver: lvm, group: cinder-volumes}]":                                                            "write the UUID",
		"[{name: fast, driver: lvm, group: " + uuid + ", dir: /x}]":                                                     "dir of fast",
		"[{name: share, driver: nfs, dir: share}]":                                                                      "absolute path",
		"[{name: share, driver: drbd}]":                                                                                 "use file, nfs, lvm, zfs, rbd or plugin",
		"[{name: tank, driver: zfs, dataset: tank/hearth, options: {volblocksize: 8k}}]":                                "",
		"[{name: tank, driver: zfs}]":                                                                                   "write the name of a file system of ZFS",
		"[{name: tank, driver: zfs, dataset: tank@x}]":                                                                  "write the name of a file system of ZFS",
		"[{name: tank, driver: zfs, dataset: tank, pool: tank}]":                                                        "the pool is in the dataset's name",
		"[{name: tank, driver: zfs, dataset: tank, options: {ashift: 12}}]":                                             "that of zfs is volblocksize",
		"[{name: share, driver: nfs, dir: /srv/share, dataset: tank}]":                                                  "for the driver zfs",
		"[{name: ceph, driver: rbd, pool: volumes, options: {user: hearth, conf: /etc/ceph/ceph.conf}}]":                "",
		"[{name: ceph, driver: rbd}]":                                                                                   "write the name of a pool",
		"[{name: ceph, driver: rbd, pool: volumes, group: x}]":                                                          "for other drivers",
		"[{name: ceph, driver: rbd, pool: volumes, options: {mon: x}}]":                                                 "those of rbd are",
		"[{name: own, plugin: /opt/own, options: {host: filer}}]":                                                       "",
		"[{name: own, driver: plugin, plugin: own}]":                                                                    "absolute path of the program",
		"[{name: own, plugin: /opt/own, dir: /x}]":                                                                      "a plug-in has options",
		"[{name: own, driver: file, dir: /x, plugin: /opt/own}]":                                                        "for the driver plugin",
		"[{name: 'a b', driver: file, dir: /x}]":                                                                        "small letters",
		"[{name: a, driver: file, dir: /x}, {name: a, driver: file, dir: /y}]":                                          "two of the name a",
		"[{name: thin, driver: lvm, group: " + uuid + ", pool: thin}, {name: thick, driver: lvm, group: " + uuid + "}]": "thin and thick have the same volume group",
		"[{name: a, driver: zfs, dataset: tank/x}, {name: b, driver: zfs, dataset: tank/x}]":                            "a and b have the same dataset",
		"[{name: a, driver: zfs, dataset: tank/x}, {name: b, driver: zfs, dataset: tank/y}]":                            "",
		"[{name: a, driver: file, dir: /x}, {name: b, driver: nfs, dir: /x/}]":                                          "a and b have the same directory",
		"[{name: file, driver: nfs, dir: /x}]":                                                                          "nothing but its name",
		"[{name: fast, driver: lvm, group: " + uuid + ", pool: \"--addtag x\"}]":                                        "no name of a thin pool",
	} {
		c := Default()
		if err := c.ReadEnv(func(k string) (string, bool) { return text, k == "HEARTH_VOLUME_BACKENDS" }); err != nil {
			t.Fatal(err)
		}
		if err := c.Check(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if !(Backends{}).Own() || !(Backends{{Name: "file"}}).Own() || (Backends{{Name: "fast"}}).Own() {
		t.Error("when volumes are in the node's own directory")
	}
}
