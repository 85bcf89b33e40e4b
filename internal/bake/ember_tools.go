package bake

import "fmt"

// emberTools are small scripts for what Debian's busybox has not. Scripts that
// log in to cloud guests, Tempest's among them, ask for these.
var emberTools = []string{"blkid", "curl", "lsblk", "shutdown"}

// mke2fsPackages hold mke2fs, since busybox' own knows ext2 only.
var mke2fsPackages = []string{"e2fsprogs", "libext2fs2", "libcom-err2", "libblkid1", "libuuid1"}

var mke2fsLibraries = []string{"libext2fs.so.2", "libe2p.so.2", "libcom_err.so.2", "libblkid.so.1", "libuuid.so.1"}

// addTools adds the scripts and mke2fs with its libraries, before busybox gets
// the names that are left.
func addTools(t *tree, progs map[string][]byte) error {
	for _, name := range emberTools {
		b, err := emberFiles.ReadFile("ember/tools/" + name)
		if err != nil {
			return err
		}
		t.file("/bin/"+name, 0o755, b)
	}
	if progs["sbin/mke2fs"] == nil {
		return fmt.Errorf("the packages have no sbin/mke2fs")
	}
	t.file("/bin/mke2fs", 0o755, progs["sbin/mke2fs"])
	for _, kind := range []string{"ext2", "ext3", "ext4"} {
		t.put(entry{path: "/bin/mkfs." + kind, same: "/bin/mke2fs"})
	}
	return addLibraries(t, progs, mke2fsLibraries)
}

func addLibraries(t *tree, progs map[string][]byte, names []string) error {
	for _, lib := range names {
		b := progs["lib/x86_64-linux-gnu/"+lib]
		if b == nil {
			return fmt.Errorf("the packages have no %s", lib)
		}
		t.file("/lib/x86_64-linux-gnu/"+lib, 0o755, b)
	}
	return nil
}
