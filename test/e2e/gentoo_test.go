package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openrcPackages make a Debian of a stage3's shape: OpenRC, an ssh server, no
// kernel, no cloud-init.
const openrcPackages = "openrc,sysvinit-core,udev,kmod,ifupdown,isc-dhcp-client,openssh-server,sudo,iproute2,procps,e2fsprogs"

// TestBakeGentoo bakes an archive of a stage3's shape as an ordinary user, who
// can neither mount nor make devices nor change to root, and boots it: the agent
// is started by OpenRC, the overlay's job by local.d.
//
// What it is not: a stage3 from Gentoo, whose servers the tests cannot reach.
func TestBakeGentoo(t *testing.T) {
	bin := needE2E(t)
	dir := tempDir(t)
	stage3 := stage3(t, dir)
	overlay := filepath.Join(dir, "overlay")
	overlayWithJob(t, overlay)
	// The packages that root's bakes have fetched, for the user to read and add to.
	packages := filepath.Join(dir, "cache", "packages")
	out := asUser(t, dir, "sh", "-ec", `mkdir -p "$1" && cp -n "$2"/packages/linux-image-*-cloud-*.deb "$2"/packages/busybox-static_*.deb "$1" 2>/dev/null || true`, "sh", packages, packageCache())
	start := time.Now()
	out += asUser(t, dir, bin, "bake", "gentoo", "--stage3", stage3, "--overlay", overlay, "--out", filepath.Join(dir, "out"), "--cache", filepath.Join(dir, "cache"))
	t.Logf("baked in %.1f s:\n%s", time.Since(start).Seconds(), out)
	image := filepath.Join(dir, "out", "gentoo.qcow2")
	var st syscall.Stat_t
	if err := syscall.Stat(image, &st); err != nil || st.Uid != ordinary {
		t.Fatalf("the image is not the user's: %v, owner %d", err, st.Uid)
	}
	bootGentoo(t, image)
}

// bootGentoo boots the image in a cloud and looks at what the agent, OpenRC and
// the overlay have done.
func bootGentoo(t *testing.T, image string) {
	t.Helper()
	c := newCloud(t, "qemu")
	s := c.session()
	signer, public := keyPair(t)
	s.importKey("me", public)
	s.group("web", true, 22)
	const gb = 4
	m := s.launch(s.sizedFlavor("gentoo", 512, 2, gb), wish{name: "larry", image: s.upload("gentoo", "qcow2", image, nil), network: s.networkNamed("private"),
		key: "me", group: "web", script: userScript})
	s.ready(m)
	s.giveFloating(m)
	in := sshTo(t, "ec2-user", m.float, signer)
	c.awaitConsole(m.id, "Gentoo Linux (Hearth)", "Loading /boot/hearth/vmlinuz", "Linux version", "OpenRC", "user-data-was-here", "larry login:")
	for command, want := range map[string]string{
		"id -un": "ec2-user", "hostname": "larry", "sudo -n id -u": "0", "cat /var/lib/proof": "0", "cat /var/lib/count": "again",
		"cat /var/lib/local.d": "local.d ran as 0", "stat -c %u:%g:%a / /home/ec2-user | xargs": "0:0:755 1000:1000:755",
		"sudo find / -xdev -uid 1000 ! -path '/home/*' ! -path '/tmp/*'": "",
		"sudo stat -c %a:%U:%G /etc/shadow /usr/bin/sudo | xargs":        "640:root:shadow 4755:root:root",
		"findmnt -no OPTIONS / | tr , '\\n' | grep -x rw":                "rw",
	} {
		if got := in.run(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	checkDisk(t, in, gb)
	s.remove(m)
	c.fsck()
}

// stage3 makes an archive, packed as Gentoo packs its.
func stage3(t *testing.T, dir string) string {
	t.Helper()
	archive := filepath.Join(dir, "stage3.tar")
	debs := filepath.Join(packageCache(), "bookworm")
	if err := os.MkdirAll(debs, 0o755); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, args := range [][]string{
		{"mmdebstrap", "--variant=minbase", "--quiet", "--include=" + openrcPackages, "--skip=download/empty", "--skip=essential/unlink",
			"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
			`--setup-hook=mkdir -p "$1/var/cache/apt/archives"`, "--setup-hook=sync-in " + debs + " /var/cache/apt/archives",
			"--customize-hook=sync-out /var/cache/apt/archives " + debs, `--customize-hook=rm -f "$1"/var/cache/apt/archives/*.deb`, "bookworm", archive},
		{"xz", "-0", "-T0", archive},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	if err := os.Chmod(archive+".xz", 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("a tree with OpenRC in %.1f s", time.Since(start).Seconds())
	return archive + ".xz"
}

// overlayWithJob is the operator's own part: a job in local.d, and the service
// that runs those, which Gentoo has and Debian's OpenRC has not.
func overlayWithJob(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{
		"etc/local.d/50-proof.start": "#!/bin/sh\necho \"local.d ran as $(id -u)\" >/var/lib/local.d\n",
		"etc/init.d/local":           "#!/sbin/openrc-run\ndepend() { after hearth-guest; }\nstart() { for f in /etc/local.d/*.start; do \"$f\"; done; }\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	level := filepath.Join(dir, "etc/runlevels/default")
	if err := os.MkdirAll(level, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/init.d/local", filepath.Join(level, "local")); err != nil {
		t.Fatal(err)
	}
}

// ordinary is the user id of somebody who may do nothing in particular.
const ordinary = 1000

// asUser runs a command without any right, in namespaces where the host's mounts
// cannot be changed, and gives its output. dir becomes the user's.
func asUser(t *testing.T, dir string, args ...string) string {
	t.Helper()
	if err := os.Chown(dir, ordinary, ordinary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("setpriv", append([]string{"--reuid", fmt.Sprint(ordinary), "--regid", fmt.Sprint(ordinary), "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/usr/sbin:/bin:/sbin", "HOME=" + dir, "HEARTH_DATA=" + filepath.Join(dir, "data")}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("as user %d: %s: %v\n%s%s", ordinary, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return errs.String() + out.String()
}

// TestBakeEmberAsUser bakes ember the same way.
func TestBakeEmberAsUser(t *testing.T) {
	bin := needE2E(t)
	dir := tempDir(t)
	asUser(t, dir, "sh", "-ec", `mkdir -p "$1/cache" && cp -r "$2/packages" "$1/cache/" 2>/dev/null || true`, "sh", dir, packageCache())
	out := asUser(t, dir, bin, "bake", "ember", "--out", filepath.Join(dir, "out"), "--cache", filepath.Join(dir, "cache"))
	t.Logf("%s", out)
	if st, err := os.Stat(filepath.Join(dir, "out", "ember.qcow2")); err != nil || st.Size() < 10<<20 {
		t.Errorf("%v, %v", st, err)
	}
}
