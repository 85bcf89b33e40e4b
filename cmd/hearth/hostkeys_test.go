package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/driver/storage"
)

// TestHostKeysOfDisks drafts and applies for a disk as the storage tells of it, and
// says why it does not for those that are out of reach. One that is given up is neither.
func TestHostKeysOfDisks(t *testing.T) {
	keys, ctx := hostKeys{&disk.Runner{}}, t.Context()
	log := filepath.Join(t.TempDir(), "log")
	shown, left, err := keys.Draft(ctx, storage.Disk{Path: "rbd:pool/d-volume-v:id=hearth", Format: "raw", Size: 1 << 30}, log)
	if len(shown) > 0 || !strings.Contains(left, "neither as a file nor as a block device") || err != nil {
		t.Errorf("RBD: %q, %q, %v", shown, left, err)
	}
	blank := filepath.Join(t.TempDir(), "blank")
	if err := os.WriteFile(blank, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	shown, left, err = keys.Draft(ctx, storage.Disk{Path: blank, Format: "raw", Size: 1 << 20}, log)
	if len(shown) > 0 || !strings.Contains(left, "no file system whose files are read here") || err != nil {
		t.Errorf("an empty disk: %q, %q, %v", shown, left, err)
	}
	old := storage.Disk{Path: guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/ssh/sshd_config=HostKey /etc/ssh/ssh_host_ed25519_key\n", "etc/ssh/ssh_host_ed25519_key=shared\n")
	}), Format: "raw", Size: 16 << 20}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, left, err = keys.Draft(gone, old, log); left != "" || err == nil {
		t.Errorf("given up: %q, %v", left, err)
	}
	shown, left, err = keys.Draft(ctx, old, log)
	if len(shown) != 1 || left != "" || err != nil {
		t.Fatalf("%q, %q, %v", shown, left, err)
	}
	if err := keys.Apply(ctx, old, log); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again")
	if other, _, err := keys.Draft(ctx, old, again); len(other) != 1 || other[0] == shown[0] || err != nil {
		t.Errorf("a second server's: %q, the first one's %q, %v", other, shown, err)
	}
}
