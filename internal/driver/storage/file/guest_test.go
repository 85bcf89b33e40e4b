package file

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/guesttest"
	"hearth/internal/driver/storage/storagetest"
)

// The server is the kernel's own, on loopback; version 4.2 needs no port mapper and
// no daemon for locks.
const nfsSetup = `ifconfig lo 127.0.0.1 up
mkdir -p /srv /mnt/share /var/lib/nfs/v4recovery /proc/fs/nfsd /var/tmp; mount -t tmpfs -o size=400m share /srv; touch /var/lib/nfs/etab /var/lib/nfs/rmtab
mount -t nfsd nfsd /proc/fs/nfsd
exportfs -ra && rpc.mountd -N 3 && rpc.nfsd -N 3 -V 4.2 -G 10 -L 10 2; echo Y > /proc/fs/nfsd/v4_end_grace
export HEARTH_NFS_SHARE=/mnt/share
`

// nfsOptions are those that the kernel takes; an operator's mount.nfs makes them.
const nfsOptions = "vers=4.2,addr=127.0.0.1,clientaddr=127.0.0.1,hard"

// TestInAGuest runs the tests of a share on one that is mounted by NFS, in a guest
// whose kernel has that, which this host's need not have.
func TestInAGuest(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("set HEARTH_E2E=1 to run the tests in a guest under QEMU")
	}
	out := guesttest.Run(t, guesttest.Guest{
		Packages: []string{"nfs-kernel-server", "nfs-common", "libtirpc3", "libwrap0", "libevent-core-2.1-7", "libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libcom-err2",
			"libkrb5support0", "libkeyutils1", "libnsl2", "libsqlite3-0", "libnfsidmap1", "libcap2", "libblkid1", "libuuid1", "libmount1", "libselinux1", "libpcre2-8-0", "libc6"},
		Programs: []string{"/usr/bin/qemu-img", "/usr/sbin/mke2fs", "/usr/bin/setpriv", "/usr/bin/prlimit"},
		Modules:  []string{"sunrpc", "grace", "lockd", "nfs_acl", "auth_rpcgss", "oid_registry", "dns_resolver", "netfs", "fscache", "nfs", "nfsv4", "nfsd"},
		Files:    map[string]string{"/etc/exports": "/srv *(rw,sync,fsid=0,no_root_squash,insecure,no_subtree_check)\n", "/etc/netconfig": netconfig, "/etc/services": "nfs 2049/tcp\n", "/etc/mke2fs.conf": mke2fsConf},
		Setup:    nfsSetup,
		Tests:    "OnNFS",
	}, "--- PASS: TestSuiteOnNFS", "--- PASS: TestShareLostAndBackOnNFS")
	t.Logf("%d tests passed in the guest", strings.Count(out, "--- PASS"))
}

// What the packages bring by scripts of theirs, which are not run.
const (
	netconfig  = "udp tpi_clts v inet udp - -\ntcp tpi_cots_ord v inet tcp - -\nlocal tpi_cots_ord - loopback - - -\n"
	mke2fsConf = "[defaults]\n\tbase_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr\n[fs_types]\n\text4 = {\n\t\tfeatures = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize\n\t}\n"
)

// mounted mounts the share of the guest, and gives where.
func mounted(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("HEARTH_NFS_SHARE")
	if dir == "" {
		t.Skip("TestInAGuest runs this, in a guest that has a share")
	}
	mountShare(t, dir)
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func mountShare(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("127.0.0.1:/", dir, "nfs4", 0, nfsOptions); err != nil {
		t.Fatal(err)
	}
	if err := CheckMount(dir); err != nil {
		t.Fatal(err)
	}
}

func onShare(t *testing.T, dir string) *Driver {
	t.Helper()
	d, err := New(Config{Kitchen: DiskRoom{&disk.Runner{}}, Paths: Paths{
		Images: filepath.Join(dir, "images"), Disks: filepath.Join(dir, "disks"), Tmp: filepath.Join(dir, "tmp")}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuiteOnNFS(t *testing.T) {
	dir := mounted(t)
	storagetest.Run(t, func(t *testing.T) storage.Driver {
		at, err := os.MkdirTemp(dir, "run")
		if err != nil {
			t.Fatal(err)
		}
		return onShare(t, at)
	})
}

// TestShareLostAndBackOnNFS has the share unmounted, which is told at once, and its
// server stop, which nothing that is written may be lost by.
func TestShareLostAndBackOnNFS(t *testing.T) {
	dir := mounted(t)
	d := onShare(t, filepath.Join(dir, "lost"))
	if _, err := d.WriteDisk(t.Context(), "volume-kept", mib, strings.NewReader("kept")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	if err := Mounted(dir); !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "nothing is mounted") {
		t.Errorf("the share is not mounted, and: %v", err)
	}
	mountShare(t, dir)
	if err := Mounted(dir); err != nil {
		t.Error(err)
	}
	server(t, "0")
	done := make(chan error, 1)
	go func() {
		_, err := d.WriteDisk(t.Context(), "volume-late", mib, strings.NewReader("late"))
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("a disk was written without a server: %v", err)
	case <-time.After(2 * time.Second): // that something does not come can but be waited for
	}
	server(t, "2")
	if err := <-done; err != nil {
		t.Fatalf("the server is back, and the write: %v", err)
	}
	for id, want := range map[string]string{"volume-kept": "kept", "volume-late": "late"} {
		found, err := d.Disk(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(found.Path)
		if err != nil || len(data) != mib || !strings.HasPrefix(string(data), want) {
			t.Errorf("%s: %d bytes, %v", id, len(data), err)
		}
	}
}

// server sets how many threads serve the share; 0 stops it.
func server(t *testing.T, threads string) {
	t.Helper()
	if err := os.WriteFile("/proc/fs/nfsd/threads", []byte(threads), 0); err != nil {
		if out, err := exec.Command("rpc.nfsd", "-N", "3", "-V", "4.2", "-G", "10", "-L", "10", threads).CombinedOutput(); err != nil {
			t.Fatalf("rpc.nfsd %s: %v %s", threads, err, out)
		}
	}
}
