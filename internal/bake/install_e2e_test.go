package bake

import (
	"bufio"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/bake/boottest"
	"hearth/internal/bake/installer"
	"hearth/internal/disk"
)

// netboot gives the folder of Debian's installer, from its package.
func netboot(t *testing.T) string {
	t.Helper()
	if have := os.Getenv("HEARTH_INSTALLER"); have != "" {
		return have
	}
	dir := t.TempDir()
	for _, line := range []string{"apt-get -q download debian-installer-12-netboot-amd64", "dpkg -x debian-installer-12-netboot-amd64_*.deb ."} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	return filepath.Join(dir, "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")
}

// components finds parts of the installer at the mirror by the beginnings of their names.
func components(t *testing.T, names ...string) (urls []string) {
	t.Helper()
	const mirror = "http://deb.debian.org/debian/"
	resp, err := http.Get(mirror + "dists/bookworm/main/debian-installer/binary-amd64/Packages.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		file, ok := strings.CutPrefix(lines.Text(), "Filename: ")
		for _, n := range names {
			if ok && strings.HasPrefix(filepath.Base(file), n) {
				urls = append(urls, mirror+file)
			}
		}
	}
	if len(urls) != len(names) {
		t.Fatalf("of %q the mirror has %q", names, urls)
	}
	return urls
}

// TestInstaller has Debian's installer, started by its kernel with answers in its ramdisk, make a
// disk without anybody's help, and boots it. The mirror of the machines that this is tested on lacks
// most of the installer's components (partman, grub-installer and others are not found there), so that
// the answers bring a script that does their work.
func TestInstaller(t *testing.T) {
	needAll(t)
	ctx, dir, from := context.Background(), t.TempDir(), netboot(t)
	kernel, err := os.ReadFile(filepath.Join(from, "linux"))
	if err != nil {
		t.Fatal(err)
	}
	version := kernelVersion(kernel)
	web := t.TempDir()
	o, err := newOven(Options{OutDir: dir, CacheDir: os.Getenv("HEARTH_BAKE_CACHE")})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(o.work)
	system := filepath.Join(web, "system.tar")
	if err := o.bootstrap(ctx, system, append([]string{"grub-pc"}, debianPackages...)); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"gzip -1 system.tar", "mkdir -p t/lib && cp /sbin/mke2fs /etc/mke2fs.conf t && cp -L $(ldd /sbin/mke2fs | sed -n 's/.*=> \\([^ ]*\\(ext2fs\\|com_err\\|e2p\\|blkid\\|uuid\\)[^ ]*\\).*/\\1/p') t/lib && tar -czf tools.tar.gz -C t ."} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = web
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	server := httptest.NewServer(http.FileServer(http.Dir(web)))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	words := strings.NewReplacer("@PORT@", port, "@MODULES@", strings.Join(components(t, "scsi-modules-"+version+"-di", "ext4-modules-"+version+"-di"), " "))
	answers := answersOf(t, words)
	if err := os.WriteFile(filepath.Join(web, "install.sh"), answers["install.sh"], 0o644); err != nil {
		t.Fatal(err)
	}
	begin, last := time.Now(), ""
	res, err := Install(ctx, InstallOptions{Name: "netinst", Source: from, Kind: installer.Preseed, Answers: answers["preseed.cfg"], OutDir: dir, CacheDir: dir, Say: func(line string) { last = line }})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("installed %s in %.0f s (all in %.0f s), last said: %s", res.System, res.Took.Seconds(), time.Since(begin).Seconds(), last)
	r, err := boottest.Run(ctx, &disk.Runner{Timeout: time.Hour}, boottest.Options{Image: res.Disk, Timeout: 20 * time.Minute, Tell: func(s boottest.Stage) { t.Logf("%-12s %6.1f s %s", s.Name, s.Seconds, s.Text) }})
	if err != nil || r.Result != boottest.Passed {
		t.Errorf("%v: %+v", err, r)
	}
}

// answersOf reads the answers and the script that they fetch.
func answersOf(t *testing.T, words *strings.Replacer) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{"preseed.cfg", "install.sh"} {
		b, err := os.ReadFile(filepath.Join("testdata/installer", name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = []byte(words.Replace(string(b)))
	}
	return all
}
