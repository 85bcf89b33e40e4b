package e2e

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// chroots are the trees of foreign distributions' shapes, each of a few of
// Debian's packages, which are unpacked and not installed.
var chroots = []struct {
	name     string
	packages []string
	libc     string // a file that shows whose C library is there, "" for none
	fails    string // one that must not be there
}{
	{"Debian", []string{"base-files", "libc6", "libtinfo6", "bash", "coreutils", "libselinux1", "libpcre2-8-0", "libgmp10", "libacl1", "libattr1"}, "lib/x86_64-linux-gnu/libc.so.6", "lib/ld-musl-x86_64.so.1"},
	{"Alpine's shape", []string{"musl", "busybox-static"}, "lib/ld-musl-x86_64.so.1", "lib/x86_64-linux-gnu/libc.so.6"},
	{"Gentoo's shape", []string{"openrc", "librc1", "libeinfo1", "sysvinit-core", "libc6", "busybox-static"}, "sbin/openrc-run", "lib/systemd/systemd"},
	{"nothing at all", nil, "", "lib"},
}

// TestAnyLinux runs the one file in the trees of other distributions: it is
// linked static, so that neither a C library nor an init system matters.
func TestAnyLinux(t *testing.T) {
	bin := needE2E(t)
	isStatic(t, bin)
	for _, c := range chroots {
		t.Run(c.name, func(t *testing.T) {
			root := chrootOf(t, bin, c.packages)
			if _, err := os.Stat(filepath.Join(root, c.libc)); err != nil {
				t.Fatal("the tree is not of this shape:", err)
			}
			if _, err := os.Stat(filepath.Join(root, c.fails)); err == nil {
				t.Fatalf("the tree is not of this shape: it has %s", c.fails)
			}
			start := time.Now()
			upInChroot(t, root)
			t.Logf("%.1f s", time.Since(start).Seconds())
		})
	}
}

// isStatic checks what file(1) calls statically linked: no loader is asked for.
func isStatic(t *testing.T, bin string) {
	t.Helper()
	f := must(elf.Open(bin))(t)
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not linked static: it has a segment %v", bin, p.Type)
		}
	}
}

// chrootOf unpacks packages and puts the binary beside them.
func chrootOf(t *testing.T, bin string, packages []string) string {
	t.Helper()
	root, debs := tempDir(t), t.TempDir()
	if len(packages) > 0 {
		apt := exec.Command("apt-get", append([]string{"-q", "-o", "APT::Sandbox::User=root", "download"}, packages...)...)
		apt.Dir = debs
		if out, err := apt.CombinedOutput(); err != nil {
			t.Fatalf("apt-get download: %v\n%s", err, out)
		}
		for _, deb := range must(filepath.Glob(filepath.Join(debs, "*.deb")))(t) {
			if out, err := exec.Command("dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
				t.Fatalf("dpkg-deb: %v\n%s", err, out)
			}
		}
	}
	if out, err := exec.Command("cp", "--reflink=auto", bin, filepath.Join(root, "hearth")).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	return root
}

// inChroot is a command of the binary in the tree, with an environment of its own.
func inChroot(root string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command("/hearth", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	cmd.Dir, cmd.Env = "/", append([]string{"PATH=/usr/bin:/usr/sbin:/bin:/sbin", "HOME=/"}, env...)
	return cmd
}

// upInChroot starts a cloud in the tree and logs in to it from outside.
func upInChroot(t *testing.T, root string) {
	t.Helper()
	listen := freePort(t)
	env := []string{"HEARTH_DRIVER=fake", "HEARTH_DATA=/data", "HEARTH_LISTEN=" + listen}
	out := must(os.Create(filepath.Join(t.TempDir(), "log")))(t)
	defer out.Close()
	up := inChroot(root, env, "up")
	up.Stdout, up.Stderr = out, out
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = up.Process.Signal(syscall.SIGTERM)
		_ = up.Wait()
		if t.Failed() {
			body, _ := os.ReadFile(out.Name())
			t.Logf("%s", tail(body, 4000))
		}
	})
	if body, err := inChroot(root, env, "wait", "ready", "--timeout", "60s").CombinedOutput(); err != nil {
		t.Fatalf("wait ready: %v\n%s", err, body)
	}
	rc, err := inChroot(root, env, "openrc").Output()
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(rc)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(v, "=")
			vars[name] = strings.Trim(value, `'"`)
		}
	}
	login := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"domain":{"name":"Default"},"password":%q}}},"scope":{"project":{"name":%q,"domain":{"name":"Default"}}}}}`,
		vars["OS_USERNAME"], vars["OS_PASSWORD"], vars["OS_PROJECT_NAME"])
	res, err := http.Post("http://"+listen+"/v3/auth/tokens", "application/json", strings.NewReader(login))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	var token struct {
		Token struct {
			Catalog []struct{ Type string }
		}
	}
	if err := json.Unmarshal(body, &token); err != nil || res.StatusCode != http.StatusCreated || res.Header.Get("X-Subject-Token") == "" || len(token.Token.Catalog) < 5 {
		t.Errorf("the login gave %d, %v: %s", res.StatusCode, err, body)
	}
}
