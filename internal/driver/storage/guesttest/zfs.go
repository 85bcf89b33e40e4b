package guesttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Udev are the packages of udev, with all that they are linked with.
var Udev = []string{"udev", "libudev1", "libkmod2", "libacl1", "libblkid1", "libcap2", "libselinux1", "libpcre2-8-0", "libzstd1", "liblzma5", "libssl3", "libuuid1", "zlib1g", "libc6"}

// ZFS gives the part of a guest that is ZFS, which no kernel of Debian's has: the script
// scripts/zfs-module builds it, for ten minutes the first time.
func ZFS(t *testing.T, script string) (g Guest) {
	t.Helper()
	build := exec.CommandContext(t.Context(), script)
	build.Stderr = os.Stderr
	out, err := build.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	list, err := os.ReadFile(filepath.Join(dir, "modules"))
	if err != nil {
		t.Fatal(err)
	}
	for m := range strings.FieldsSeq(string(list)) {
		g.Built = append(g.Built, filepath.Join(dir, m+".ko"))
	}
	if g.Debs, err = filepath.Glob(filepath.Join(dir, "*.deb")); err != nil || len(g.Debs) == 0 {
		t.Fatalf("the packages of ZFS's commands: %q, %v", g.Debs, err)
	}
	g.Packages = append(slices.Clone(Udev), "libtirpc3", "libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libcom-err2", "libkrb5support0", "libkeyutils1")
	return g
}
