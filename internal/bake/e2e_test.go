package bake

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
)

// machine is a guest under TCG with its serial line.
type machine struct {
	cmd   *exec.Cmd
	mu    sync.Mutex
	log   bytes.Buffer
	start time.Time
	port  int
}

// boot starts a guest. Metadata is at 169.254.169.254, which slirp hands on to addr.
func boot(t *testing.T, addr string, args ...string) *machine {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{port: l.Addr().(*net.TCPAddr).Port, start: time.Now()}
	l.Close()
	user := fmt.Sprintf("user,id=n,net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,dhcpstart=169.254.0.15,hostfwd=tcp:127.0.0.1:%d-:22", m.port)
	if addr != "" {
		host, port, _ := net.SplitHostPort(addr)
		user += ",guestfwd=tcp:169.254.169.254:80-cmd:busybox nc " + host + " " + port
	}
	m.cmd = exec.Command("qemu-system-x86_64", append([]string{"-M", "pc", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-nodefaults",
		"-no-reboot", "-display", "none", "-vga", "std", "-serial", "stdio", "-netdev", user, "-device", "virtio-net-pci,netdev=n"}, args...)...)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	m.cmd.Stderr = os.Stderr
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go m.read(out)
	t.Cleanup(func() {
		m.cmd.Process.Kill()
		m.cmd.Wait()
		if t.Failed() {
			t.Logf("serial line:\n%s", m.text())
		}
	})
	return m
}

func (m *machine) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		b, err := lines.ReadByte()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.log.WriteByte(b)
		m.mu.Unlock()
	}
}

func (m *machine) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

// login connects by ssh as soon as the guest lets it.
func (m *machine) login(t *testing.T, user string, key ssh.Signer, limit time.Duration) *ssh.Client {
	t.Helper()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for time.Since(m.start) < limit {
		<-retry.C
		patience := 300*time.Millisecond + time.Since(m.start)/20
		c, err := m.dial(user, key, patience)
		if err == nil {
			t.Logf("ssh as %s after %.1f s, %s of CPU", user, time.Since(m.start).Seconds(), m.cpu())
			t.Cleanup(func() { c.Close() })
			return c
		}
	}
	t.Fatalf("no ssh after %v", limit)
	return nil
}

// cpu is what the guest has used so far, which other work on this machine
// does not change as much as it does the time.
func (m *machine) cpu() time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	f := strings.Fields(string(b))
	if len(f) < 15 {
		return 0
	}
	user, _ := strconv.Atoi(f[13])
	system, _ := strconv.Atoi(f[14])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// dial tries once. slirp accepts before the guest does and then holds the
// connection, so a server that does not speak soon is not there.
func (m *machine) dial(user string, key ssh.Signer, patience time.Duration) (*ssh.Client, error) {
	addr := fmt.Sprintf("127.0.0.1:%d", m.port)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	first := bufio.NewReader(conn)
	if _, err := first.Peek(4); err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	c, chans, reqs, err := ssh.NewClientConn(&spoken{conn, first}, addr, &ssh.ClientConfig{User: user,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, chans, reqs), nil
}

// spoken is a connection of which something was read ahead.
type spoken struct {
	net.Conn
	r io.Reader
}

func (s *spoken) Read(p []byte) (int, error) { return s.r.Read(p) }

// waitFor waits until the serial line has all of want.
func (m *machine) waitFor(t *testing.T, limit time.Duration, want ...string) {
	t.Helper()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for range look.C {
		missing := ""
		for _, w := range want {
			if !strings.Contains(m.text(), w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Since(m.start) > limit {
			t.Fatalf("the serial line never had %q", missing)
		}
	}
}

func do(t *testing.T, c *ssh.Client, command string) string {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.CombinedOutput(command)
	if err != nil {
		t.Errorf("%s: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

const userData = "#!/bin/sh\necho \"user-data ran as $(id -u)\" | tee /var/lib/ran\necho again >>/var/lib/count\n"

func metaData(uuid, key string) []byte {
	b, _ := json.Marshal(map[string]any{"uuid": uuid, "hostname": "spark.novalocal", "name": "spark", "public_keys": map[string]string{"me": key}})
	return b
}

func metadataServer(t *testing.T, uuid, key string) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openstack", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "latest\n") }) // which cloud-init asks first
	mux.HandleFunc("GET /openstack/latest/meta_data.json", func(w http.ResponseWriter, _ *http.Request) { w.Write(metaData(uuid, key)) })
	mux.HandleFunc("GET /openstack/latest/user_data", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, userData) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func drive(path string, extra ...string) []string {
	return append([]string{"-drive", "if=virtio,cache=unsafe," + path}, extra...)
}

// TestEmberBoots bakes ember and boots it in each of its forms.
func TestEmberBoots(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs QEMU: set HEARTH_E2E=1")
	}
	dir, ctx := t.TempDir(), context.Background()
	begin := time.Now()
	res, err := Bake(ctx, Options{Recipe: "ember", OutDir: dir, CacheDir: os.Getenv("HEARTH_BAKE_CACHE"), Progress: func(s Step) {
		if s.Finished {
			t.Logf("%-45s %6.2f s", s.Name, s.Took.Seconds())
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("baked in %.1f s; sizes: qcow2 %d, kernel %d, ramdisk %d, root on disk %d", time.Since(begin).Seconds(),
		fileSize(res.Disk), fileSize(res.Kernel), fileSize(res.Ramdisk), onDisk(res.Root))
	if fileSize(res.Disk) > 17_500_000 {
		t.Errorf("the qcow2 takes %d bytes; about 15 MB is wanted", fileSize(res.Disk))
	}
	signer, key := newKey(t)
	run := &disk.Runner{}
	t.Run("AMI with the metadata service", func(t *testing.T) {
		root := filepath.Join(dir, "ami.raw")
		copyFile(t, res.Root, root)
		grow(t, run, disk.Layer{Path: root, Format: disk.Raw}, nil)
		m := boot(t, metadataServer(t, "uuid-ami", key), append(drive("format=raw,file="+root), "-m", "256", "-kernel", res.Kernel, "-initrd", res.Ramdisk,
			"-append", "root=/dev/vda ro console=ttyS0 quiet")...)
		checkEmber(t, m, signer, "vda")
		m.waitFor(t, 4*time.Minute, "login:", "hearth-guest: metadata of uuid-ami from http://169.254.169.254")
	})
	t.Run("BARE with a config drive", func(t *testing.T) {
		over, config := filepath.Join(dir, "bare.qcow2"), filepath.Join(dir, "config.iso")
		base := disk.Layer{Path: res.Disk, Format: disk.QCOW2}
		if err := run.CreateOverlay(ctx, over, base, 1<<30); err != nil {
			t.Fatal(err)
		}
		if err := disk.WriteConfigDrive(config, map[string][]byte{"openstack/latest/meta_data.json": metaData("uuid-bare", key), "openstack/latest/user_data": []byte(userData)}); err != nil {
			t.Fatal(err)
		}
		grow(t, run, disk.Layer{Path: over, Format: disk.QCOW2}, []disk.Layer{base})
		m := boot(t, "", append(drive("format=qcow2,file="+over), append(drive("format=raw,readonly=on,file="+config), "-m", "256")...)...)
		c := checkEmber(t, m, signer, "vda1")
		m.waitFor(t, 4*time.Minute, "Ember (Hearth)", "Loading /boot/vmlinuz", "Linux version", "login:", "config drive /dev/vdb", "host key rsa")
		do(t, c, "sync")
	})
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return st.Size()
}

func onDisk(path string) int64 {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return -1
	}
	return st.Blocks * 512
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := bootdisk.Join(to, nil, from); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, run *disk.Runner, top disk.Layer, below []disk.Layer) {
	t.Helper()
	begin := time.Now()
	g, err := run.GrowRoot(context.Background(), append([]disk.Layer{top}, below...), 2<<30)
	if err != nil || !g.Grown {
		t.Fatalf("%+v, %v", g, err)
	}
	t.Logf("grown to 2 GiB in %v", time.Since(begin).Round(time.Millisecond))
}

// checkEmber logs in and looks at all that the agent promises.
func checkEmber(t *testing.T, m *machine, key ssh.Signer, root string) *ssh.Client {
	t.Helper()
	c := m.login(t, "ember", key, 3*time.Minute)
	m.waitFor(t, 4*time.Minute, "hearth-guest: user-data: done", "spark login:")
	if strings.Contains(m.text(), "ember login:") {
		t.Error("the prompt came before the host name")
	}
	for command, want := range map[string]string{
		"id -un":                  "ember",
		"hostname":                "spark",
		"sudo cat /var/lib/ran":   "user-data ran as 0",
		"sudo cat /var/lib/count": "again",
		"sudo -n id -u":           "0",
		"stat -c %a ~/.ssh":       "700",
		"cat /sys/block/vda/size": "4194304",
		"ping -c1 localhost >&2; nslookup localhost >/dev/null 2>&1; echo ok | tail -1": "ok",
	} {
		if got := do(t, c, command); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	df := strings.Fields(do(t, c, "df -m / | tail -1"))
	if len(df) < 2 || df[0] != "/dev/"+root || len(df[1]) != 4 || df[1] < "1900" {
		t.Errorf("df /: %v", df)
	}
	return c
}
