package inject

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/netconf"
)

// TestGuest boots a Debian of the archive, with neither cloud-init nor Hearth's
// agent: what was injected into its disk is there at the first boot, and it takes
// the key over the network that was written.
func TestGuest(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" || os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("installs and boots a Debian: set HEARTH_E2E=1 and HEARTH_E2E_ALL=1")
	}
	image, boot := plainDebian(t)
	_, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	network := netconf.DHCP()
	r, err := Image(context.Background(), &disk.Runner{}, disk.Layer{Path: image, Format: disk.Raw}, Options{
		Keys: []string{string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}, Hostname: "ash.forge.example.org", Network: &network, Identity: true,
		Fstab: []string{"/dev/vda / ext4 errors=remount-ro 0 1", "tmpfs /srv/fast tmpfs size=1m"}, Files: []File{{Path: "/srv/x", Data: []byte("here"), Who: "daemon", Owner: guestfs.Owner{Mode: 0o600}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	c, host := reach(t, image, boot, signer)
	if got := ssh.FingerprintSHA256(host); !slices.ContainsFunc(r.HostKeys, func(k string) bool { return strings.Contains(k, got) }) {
		t.Errorf("the guest has the host key %s, made were %v", got, r.HostKeys)
	}
	for command, want := range map[string]string{
		"hostname": "ash", "hostname -f": "ash.forge.example.org", "stat -c %U:%a ~/.ssh ~/.ssh/authorized_keys": "root:700\nroot:600", "stat -c %U:%a /srv/x; cat /srv/x": "daemon:600\nhere",
		"findmnt -no FSTYPE /srv/fast": "tmpfs", "ip -4 -o addr show eth0 | grep -c 10.0.2.15/24": "1", "cat /etc/network/interfaces | grep -c eth0": "3", "test -e /usr/sbin/hearth-guest || test -e /usr/bin/cloud-init || echo none": "none",
		"for k in rsa ecdsa ed25519; do ssh-keygen -lf /etc/ssh/ssh_host_${k}_key.pub | cut -d' ' -f1-2; done": hostKeys(r),
	} {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.CombinedOutput(command)
		if got := strings.TrimSpace(string(b)); got != want {
			t.Errorf("%s: %q, want %q, %v", command, got, want, err)
		}
	}
}

// hostKeys are the lengths and fingerprints of a report, a line each.
func hostKeys(r *Report) string {
	var lines []string
	for _, k := range r.HostKeys {
		lines = append(lines, strings.Join(strings.Fields(k)[:2], " "))
	}
	return strings.Join(lines, "\n")
}

// plainDebian installs a Debian into a disk without a partition table and gives
// the folder with its kernel.
func plainDebian(t *testing.T) (image, boot string) {
	t.Helper()
	root := os.Getenv("HEARTH_PLAIN_DEBIAN") // a tree that was made before
	if root == "" {
		root = filepath.Join(t.TempDir(), "root")
		if out, err := exec.Command("mmdebstrap", "--variant=minbase", "--include=linux-image-cloud-amd64,initramfs-tools,systemd-sysv,udev,ifupdown,isc-dhcp-client,openssh-server,iproute2", "bookworm", root).CombinedOutput(); err != nil {
			t.Fatalf("mmdebstrap: %v: %s", err, out)
		}
	}
	image = filepath.Join(t.TempDir(), "disk.raw")
	if out, err := exec.Command("/usr/sbin/mke2fs", "-q", "-t", "ext4", "-d", root, image, "2G").CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v: %s", err, out)
	}
	return image, filepath.Join(root, "boot")
}

// reach boots the disk and logs in as root.
func reach(t *testing.T, image, boot string, key ssh.Signer) (*ssh.Client, ssh.PublicKey) {
	t.Helper()
	kernel, _ := filepath.Glob(boot + "/vmlinuz-*")
	ramdisk, _ := filepath.Glob(boot + "/initrd.img-*")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil || len(kernel) != 1 || len(ramdisk) != 1 {
		t.Fatal(err, kernel, ramdisk)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	console := &locked{}
	cmd := exec.Command("qemu-system-x86_64", "-M", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", kernel[0], "-initrd", ramdisk[0], "-append", "root=/dev/vda ro console=ttyS0", "-drive", "if=virtio,format=raw,file="+image,
		"-netdev", fmt.Sprintf("user,id=n,hostfwd=tcp:127.0.0.1:%d-:22", port), "-device", "virtio-net-pci,netdev=n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = console, console
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("console:\n%s", console)
		}
	})
	var host ssh.PublicKey
	config := &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error { host = k; return nil }}
	begin, retry := time.Now(), time.NewTicker(500*time.Millisecond)
	defer retry.Stop()
	for time.Since(begin) < 10*time.Minute {
		<-retry.C
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err != nil {
			continue
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second)) // slirp takes the call before the guest does
		sc, chans, reqs, err := ssh.NewClientConn(conn, "guest", config)
		if err != nil {
			conn.Close()
			var refused *ssh.ServerAuthError
			if errors.As(err, &refused) || strings.Contains(err.Error(), "unable to authenticate") {
				t.Fatal(err)
			}
			continue
		}
		conn.SetDeadline(time.Time{})
		t.Logf("ssh after %.1f s", time.Since(begin).Seconds())
		c := ssh.NewClient(sc, chans, reqs)
		t.Cleanup(func() { c.Close() })
		return c, host
	}
	t.Fatal("no ssh after ten minutes")
	return nil, nil
}

// locked is a buffer that is read while it is written.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
