package recipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const good = `name: web
base:
  bootstrap: debian
  suite: bookworm
packages:
  install: [vim, openssh-server]
users:
  - preset: ec2-user
outputs: [qcow2, ami]
`

func TestMistakesHaveLines(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "r.yaml:1: the recipe is empty",
		good + "hostname: a\xff\n": "r.yaml:10: this line has bytes that are no UTF-8",
		good + "hostname: a\x00\n": "r.yaml:10: this line has bytes that are no UTF-8",
		good + "overlay:\n- {from: ., uid: -1}\n":                            "r.yaml:11: uid is a number from 0",
		good + "overlay:\n- {from: ., gid: 4294967295}\n":                    "r.yaml:11: gid is a number from 0",
		good + "overlay:\n- {from: ., owners: {/a: \"4294967295:0\"}}\n":     "r.yaml:11: owners are UID:GID",
		good + "overlay:\n- from: /dev/null\n":                               "r.yaml:11: /dev/null is neither a folder nor a file",
		good + "scripts:\n- file: /dev/zero\n":                               "r.yaml:11: /dev/zero is not a file",
		good + "---\nname: b\n":                                              "another follows",
		good + "pakages: []\n":                                               `r.yaml:10: there is no field "pakages" in a recipe; did you mean packages?`,
		good + "disk: {siez: 4GiB}\n":                                        `r.yaml:10: there is no field "siez" in disk; did you mean size?`,
		good + "boot: [grub]\n":                                              "r.yaml:10: here is a list where a mapping belongs",
		good + "boot:\n  wait: soon\n":                                       "is a text where a number belongs",
		good + "name: again\n":                                               "r.yaml:10:",
		good + "boot:\n\ttitle: x\n":                                         "r.yaml:11:",
		good + "boot:\n  wait: 5\n  loader: lilo":                            `r.yaml:12: choose the boot loader: there is no boot loader "lilo"`,
		good + "boot: {loader: extlinux}\nfirmware: uefi":                    "r.yaml:10: choose the boot loader: extlinux starts under BIOS only",
		good + "firmware: coreboot":                                          `r.yaml:10: choose the boot loader: the firmware "coreboot" is not known here`,
		good + "kernel: {from: tarbal}":                                      "did you mean tarball?",
		good + "kernel: {from: tarball}":                                     "r.yaml:10: kernel.tarball goes with from: tarball",
		good + "agent: cloudinit":                                            `there is no agent "cloudinit"`,
		good + "disk:\n  size: 4GB\n":                                        `r.yaml:11: "4GB" is no size`,
		good + "overlay:\n- from: nothere\n":                                 "r.yaml:11: nothere cannot be read",
		good + "scripts:\n- name: a\n":                                       "r.yaml:11: a script has either",
		good + "services:\n  enable:\n  - a\n  - b/../c\n":                   `r.yaml:13: "b/../c" is no name of a service`,
		good + "users: 5":                                                    "r.yaml:10:",
		strings.Replace(good, "debian", "gentoo", 1):                         "r.yaml:3: a bootstrap of gentoo is not available",
		strings.Replace(good, "debian", "debain", 1):                         `there is no bootstrap "debain"`,
		strings.Replace(good, "bootstrap: debian", "tarball: a", 1):          "suite, mirror, components and keyring are those of a bootstrap",
		strings.Replace(good, "  bootstrap: debian\n", "", 1):                "base should have one of",
		strings.Replace(good, "vim", "vim;reboot", 1):                        `r.yaml:6: "vim;reboot" is no name of a package`,
		strings.Replace(good, "web", "We b", 1):                              `r.yaml:1: the name "We b"`,
		strings.Replace(good, "preset: ec2-user", "name: a:b", 1):            `"a:b" is no name for a user`,
		strings.Replace(good, "preset: ec2-user", "ssh_keys: [\"x\"]", 1):    "is no name for a user",
		strings.Replace(good, "suite: bookworm", "mirror: \"http://`x\"", 1): "is no address of a mirror",
		strings.Replace(good, "qcow2", "vhd", 1):                             `r.yaml:9: there is no output "vhd"`,
	} {
		file := filepath.Join(t.TempDir(), "r.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text[max(0, len(text)-40):], err, want)
		}
	}
}

func TestAGoodRecipe(t *testing.T) {
	r, err := Parse([]byte(good), "/x/web.yaml")
	if err != nil || len(r.Check()) != 0 {
		t.Fatal(err, r.Check())
	}
	if !r.Wants("ami") || r.Wants("tar") || r.Users[0].LoginName() != "ec2-user" || r.Path("a") != "/x/a" || r.Line("users[0].groups") != 8 {
		t.Errorf("%+v", r)
	}
	for text, want := range map[string]int64{"": 0, "512MiB": 512 << 20, "4 GiB": 4 << 30} {
		if n, err := ParseSize(text); n != want || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

// TestTabs: a tab is called one; those in a script are none of YAML's.
func TestTabs(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\nbase:\n\tbootstrap: debian\n":             "r.yaml:3: this line begins with a tab: YAML is indented with spaces",
		"name: x\nbase:\n  \tbootstrap: debian\n":           "r.yaml:3: this line begins with a tab: YAML is indented with spaces",
		"scripts:\n- run: |\n    if x\n    \ty\nname: [x\n": "r.yaml:",
		"name: x\nscripts:\n- run: |\n    if x\n    \ty\n":  "",
	} {
		_, err := Parse([]byte(text), "r.yaml")
		if got := fmt.Sprint(err); (err == nil) != (want == "") || err != nil && !strings.Contains(got, want) || strings.Contains(got, "tab") != strings.Contains(want, "tab") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestDiskForATarball: the image of a disk is no archive, and is told as what it is.
func TestDiskForATarball(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"disk": "QFI\xfb\x00\x00\x00\x03", "archive": "\x1f\x8b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Parse([]byte("name: x\nbase: {tarball: "+name+"}\n"), filepath.Join(dir, "r.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(r.Check()); strings.Contains(got, "name it as base.image") != (name == "disk") {
			t.Error(got)
		}
	}
	if IsDisk(filepath.Join(dir, "nosuch")) || IsDisk(dir) {
		t.Error("what is not there is a disk")
	}
}

func TestModulesThatNoKernelHas(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"o/etc/modules": "# list\nacpiphp\nvirtio-net\nvirtio_baloon\n", "o/etc/modules-load.d/x.conf": "virtio_blok # typo\nnf_tables\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := good + "overlay:\n- from: o\nscripts:\n- run: |\n    echo virtio_baloon >> /etc/modules\n    echo acpiphp >>/etc/modules\n"
	r, err := Parse([]byte(text), filepath.Join(dir, "r.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range r.Check() {
		all.WriteString(f.Level + " " + f.String() + "\n")
	}
	for _, want := range []string{":11: etc/modules in o loads virtio_baloon, which no kernel has; did you mean virtio_balloon?", "did you mean virtio_blk?", ":13: the script has virtio_baloon loaded"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%s lacks %q", all.String(), want)
		}
	}
	if strings.Count(all.String(), "\n") != 3 || strings.Contains(all.String(), Problem) {
		t.Errorf("%s", all.String())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("name: x\nusers: [{name: a, ssh_keys: [x]}]\noverlay: [{modes: {a: 9}}]\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if r, err := Parse(text, "/nowhere/r.yaml"); err == nil {
			r.Check()
		}
	})
}

func TestScaffolds(t *testing.T) {
	for _, kind := range Scaffolds() {
		dir := t.TempDir()
		files, err := Scaffold(kind, dir)
		if err != nil || len(files) < 2 {
			t.Fatal(kind, files, err)
		}
		if _, err := Scaffold(kind, dir); err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("%s was written over: %v", kind, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if st, serr := os.Stat(f); err != nil || serr != nil || strings.HasPrefix(string(b), "#!") != (st.Mode()&0o111 != 0) {
				t.Errorf("%s: %v %v %v", f, st.Mode(), err, serr)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "config.xml")); err == nil { // KIWI's: its own package reads it
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "stage3-latest.tar.xz"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Load(filepath.Join(dir, "recipe.yaml")); err != nil || r.Name != kind {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := Scaffold("../recipe", t.TempDir()); err == nil {
		t.Error("a folder of another kind was taken")
	}
}

// TestPipesAreNotWaitedFor: whoever is given a pipe, a device or a file without end says so, at once.
func TestPipesAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "overlay/etc/modules")
	if err := errors.Join(os.MkdirAll(filepath.Dir(pipe), 0o755), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(pipe); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("%v", err)
	}
	file := filepath.Join(dir, "r.yaml")
	if err := os.WriteFile(file, []byte(good+"overlay:\n- from: overlay\nscripts:\n- file: /dev/zero\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("%v", err)
	}
}

// TestFewErrorsAreTold: a recipe that unfolds to thousands of mistakes does not fill the screen.
func TestFewErrorsAreTold(t *testing.T) {
	_, err := Parse([]byte("packages:\n  install: ["+strings.Repeat("[], ", 5000)+"]\n"), "r.yaml")
	var found Mistakes
	if !errors.As(err, &found) || found[0].Line != 2 || found[0].Level != Problem {
		t.Errorf("%#v", err)
	}
	if err == nil || strings.Count(err.Error(), "\n") != maxErrors || !strings.HasSuffix(err.Error(), "and 4980 more") {
		t.Errorf("%v", err)
	}
}
