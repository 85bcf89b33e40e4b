package zfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/guesttest"
)

// The device manager runs, with the rules of ZFS's package, for the links to zvols are its.
const zfsSetup = `/lib/systemd/systemd-udevd --daemon --resolve-names=never
udevadm trigger --action=add && udevadm settle
zpool create -o ashift=12 -O compression=on tank /dev/vda && zfs create -o canmount=off -o volmode=dev tank/hearth && zfs version && zpool status tank
export HEARTH_ZFS_DATASET=tank/hearth
`

// TestInAGuest runs the tests of this package in a guest that has ZFS, which no kernel of Debian's
// has: scripts/zfs-module builds it, for ten minutes the first time.
func TestInAGuest(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" || os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("set HEARTH_E2E=1 and HEARTH_E2E_ALL=1 to build ZFS and run the tests in a guest under QEMU")
	}
	g := guesttest.ZFS(t, "../../../../scripts/zfs-module")
	g.Disks, g.MemoryMB, g.Setup, g.Limit = []int64{2 << 30}, 1536, zfsSetup, 40*time.Minute
	g.Files = map[string]string{"/etc/passwd": "root:x:0:0:root:/:/bin/sh\n", "/etc/group": "root:x:0:\ndisk:x:6:\n"}
	said := guesttest.Run(t, g, "--- PASS: TestSuite/Real", "--- PASS: TestOddSizes/Real", "--- PASS: TestFamilies/Real", "--- PASS: TestOthersAreLeftAlone/Real", "--- PASS: TestReadingOfADiskInUse/Real",
		"--- PASS: TestImagesWhoseRemovalBrokeOff/Real", "--- PASS: TestEncrypted", "--- PASS: TestPartitionsAreNotRead", "--- PASS: TestProcessesThatAreKilled")
	t.Logf("%d tests passed in the guest, %d of them the suite's on ZFS", strings.Count(said, "--- PASS"), strings.Count(said, "--- PASS: TestSuite/Real/"))
}

// TestEncrypted has an operator's dataset that is encrypted, and then without its key.
func TestEncrypted(t *testing.T) {
	p := real(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	p.dataset += "-secret"
	p.operator(t, "create", "-o", "canmount=off", "-o", "volmode=dev", "-o", "encryption=on", "-o", "keyformat=raw", "-o", "keylocation=file://"+key, p.dataset)
	d, ctx := p.open(t, ""), t.Context()
	write(t, d, "a", text("secret"))
	if _, err := d.CopyDisk(ctx, "b", "a", 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveDisk(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, d, "b"); len(got) != 1<<20 || !bytes.HasPrefix(got, text("secret")) {
		t.Errorf("%d bytes", len(got))
	}
	p.settle(ctx)
	p.operator(t, "unload-key", p.dataset)
	if _, err := d.CopyDisk(ctx, "c", "b", 0); !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "load-key") {
		t.Errorf("without its key: %v", err)
	}
	if list, err := d.Disks(ctx); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	p.operator(t, "load-key", p.dataset)
	if err := d.RemoveDisk(ctx, "b"); err != nil {
		t.Error(err)
	}
	p.operator(t, "destroy", p.dataset)
}

// TestProcessesThatAreKilled has a process that works on disks killed at any moment, with the
// command it waits for, and wants what TestCrashes wants.
func TestProcessesThatAreKilled(t *testing.T) {
	p, ctx := real(t), t.Context()
	if os.Getenv("HEARTH_ZFS_VICTIM") != "" {
		d := p.open(t, "")
		fmt.Println(working)
		for i := 0; ; i++ {
			write(t, d, "a", text([]string{"was", "is to be"}[i%2]))
			_, copied := d.CopyDisk(ctx, "new", "a", 0)
			_, reverted := d.RevertDisk(ctx, "a", "other")
			content(t, d, "a")
			if err := errors.Join(copied, reverted, d.RemoveDisk(ctx, "new")); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.clear(t)
	write(t, p.open(t, ""), "other", text("is to be"))
	write(t, p.open(t, ""), "a", text("was"))
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		killed(t, time.Duration(i*317)*time.Millisecond)
		for { // what it had started
			if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
				break
			}
		}
		all, err := p.open(t, "").list(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range all {
			if strings.HasPrefix(name, "p-") {
				t.Errorf("kill %d: %s is left", i, name)
			}
			for _, s := range v.Snaps {
				if !s.Deferred || len(s.Clones) == 0 {
					t.Errorf("kill %d: %s@%+v is left", i, name, s)
				}
			}
		}
		if got := content(t, p.open(t, ""), "a"); !bytes.Equal(got, text("was")) && !bytes.Equal(got, text("is to be")) {
			t.Errorf("kill %d: it holds %q…", i, got[:20])
		}
	}
	p.clear(t)
}

// working is what a process says that is to be killed from then on.
const working = "working"

// killed starts such a process and kills it, with the command it waits for, some time after it
// began to work.
func killed(t *testing.T, after time.Duration) {
	t.Helper()
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessesThatAreKilled$")
	victim.Env = append(os.Environ(), "HEARTH_ZFS_VICTIM=1")
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	said, begun := "", false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said += lines.Text() + "\n"; lines.Text() == working {
			begun = true
			time.AfterFunc(after, func() { _ = syscall.Kill(-victim.Process.Pid, syscall.SIGKILL) })
		}
	}
	var ended *exec.ExitError
	if err := victim.Wait(); !begun || !errors.As(err, &ended) || ended.Exited() {
		t.Fatalf("it ended with %v: %s", err, said)
	}
}

// TestPartitionsAreNotRead has a guest write a partition table to a disk, which the kernel of this
// host must not read; of an operator's own volume it does.
func TestPartitionsAreNotRead(t *testing.T) {
	p, ctx := real(t), t.Context()
	p.clear(t)
	d := p.open(t, "")
	table := make([]byte, 1<<20) // an MBR with a partition of Linux of 1024 sectors from 64 on
	copy(table[446:], "\x00\x00\x00\x00\x83\x00\x00\x00\x40\x00\x00\x00\x00\x04\x00\x00")
	copy(table[510:], "\x55\xaa")
	write(t, d, "a", table)
	copied, err := d.CopyDisk(ctx, "b", "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	p.operator(t, "create", "-s", "-V", "1m", p.dataset+"-theirs") // where volmode is as it comes
	theirs, err := p.appear(ctx, p.dataset+"-theirs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(theirs, table, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, read := range map[string]bool{p.path(d.at("d-a")): false, copied.Path: false, theirs: true} {
		dev, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.IoctlSetInt(int(dev.Fd()), unix.BLKRRPART, 0) // fails where there can be none
		dev.Close()
		p.settle(ctx)
		device, err := filepath.EvalSymlinks(path)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := filepath.Glob(device + "p*")
		if err != nil || (len(parts) > 0) != read {
			t.Errorf("%s: partitions %v, %v", path, parts, err)
		}
	}
	p.settle(ctx)
	p.operator(t, "destroy", p.dataset+"-theirs")
	p.clear(t)
}
