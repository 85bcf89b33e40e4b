package osdef

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"hearth/internal/disk/disktest"
)

// sample has what files of settings have in the wild.
const sample = `# ganeti-instance-image
CDINSTALL="no" # a comment
export SWAP=yes; SWAP_SIZE=1024
FILESYSTEM='ext4'
KERNEL_ARGS="console=tty0 quiet"
IMAGE_NAME=debian-5.0
IMAGE_DIR="/srv/images"
CACHE_DIR=${IMAGE_DIR}/cache
IMAGE_TYPE="tar""ball"
ARCH=x86\
_64
SITE_RACK="a \"b\" \$c it's"
`

func TestParseSettings(t *testing.T) {
	all, err := ParseSettings(sample)
	if err != nil {
		t.Fatal(err)
	}
	got := Shell(all)
	want := "CDINSTALL='no'\nSWAP='yes'\nSWAP_SIZE='1024'\nFILESYSTEM='ext4'\nKERNEL_ARGS='console=tty0 quiet'\nIMAGE_NAME='debian-5.0'\nIMAGE_DIR='/srv/images'\n" +
		"CACHE_DIR='/srv/images/cache'\nIMAGE_TYPE='tarball'\nARCH='x86_64'\nSITE_RACK='a \"b\" $c it'\\''s'\n"
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	again, err := ParseSettings(got)
	if err != nil || Shell(again) != got {
		t.Errorf("a second time %v, %v", again, err)
	}
	for _, bad := range []string{"rm -rf /", "A=$(id)", "A=`id`", "A=\"$(id)\"", "A=\"`id`\"", "A='x", "A=\"x", "A=x|y", "if true; then", "A=${B:-c}", "=x", "A =x", ". /etc/x", "A=\x00",
		strings.Repeat("A=x\n", 600), "A=" + strings.Repeat("x", 70000), "A=" + strings.Repeat("x", 9000) + "\nB=$A$A\n"} {
		if all, err := ParseSettings(bad); err == nil {
			t.Errorf("%.30q is %v", bad, all)
		}
	}
	if _, err := ParseSettings("A=1\n\nB=2; id\n"); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v", err)
	}
}

// TestAsAShell holds what is read against a real shell.
func TestAsAShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, text := range []string{sample, "A=a'b'\"c\"\\d\nB=\"$A/${A}x$\" C='$A'", "A=\"x\\\ny\\n\\\"\"\nB=\\$A", "A=x#y # z\nB=;C=1"} {
		all, err := ParseSettings(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, s := range all {
			out, err := exec.Command(sh, "-c", text+"\nprintf %s \"$"+s.Name+"\"").Output()
			if err != nil || string(out) != s.Value {
				t.Errorf("%q: %s is %q here and %q in a shell (%v)", text, s.Name, s.Value, out, err)
			}
		}
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add(sample)
	f.Add("A='b'\nB=\"$A\"\\\n;C=${B}")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseSettings(text)
		if err != nil {
			return
		}
		again, err := ParseSettings(Shell(all))
		if err != nil || len(again) != len(all) {
			t.Fatalf("%q: %v, %v", text, again, err)
		}
		for i := range all {
			if all[i] != again[i] {
				t.Errorf("%q, then %q", all[i], again[i])
			}
		}
	})
}

func TestDefaults(t *testing.T) {
	b, err := json.Marshal((&Definition{Name: "x"}).Full())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"CDINSTALL":"no"`, `"SWAP":"yes"`, `"SWAP_SIZE":""`, `"FILESYSTEM":"ext3"`, `"FDISK":"sfdisk"`, `"KERNEL_ARGS":""`, `"IMAGE_NAME":""`, `"IMAGE_TYPE":"dump"`,
		`"IMAGE_DIR":"/var/cache/ganeti-instance-image"`, `"NOMOUNT":"no"`, `"OVERLAY":""`, `"ARCH":""`, `"CUSTOMIZE_DIR":"/etc/ganeti/instance-image/hooks"`, `"IMAGE_DEBUG":"no"`,
		`"BOOT_SIZE":"100"`, `"EXPORT_DIR":"/tmp"`, `"IMAGE_VERIFY":"yes"`, `"IMAGE_CLEANUP":"no"`,
		`"features":{"cloud-init":true,"grub":true,"interfaces":true,"overlays":true,"ssh":true}`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks in %s", want, b)
		}
	}
}

func TestResolve(t *testing.T) {
	d, err := Import("debian", sample, "IMAGE_TYPE=dump\nOVERLAY=web\nSWAP_SIZE=\n")
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Resolve(512<<20, map[string]string{"FILESYSTEM": "ext2", "OSP": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Image != "/srv/images/debian-5.0-x86_64-root.dump" || r.Overlay != "/etc/ganeti/instance-image/overlays/web" || r.SwapSize != 512<<20 || r.FileSystem != "ext2" || r.Extra["OSP"] != "1" || r.BootSize != 100<<20 {
		t.Errorf("%+v", r)
	}
	if d.Settings["FILESYSTEM"] != "ext4" || d.Extra["OSP"] != "" {
		t.Errorf("the definition changed: %+v", d)
	}
	if err := r.FitSwap(1 << 30); err != nil {
		t.Error(err)
	}
	if err := r.FitSwap(256 << 20); err == nil || !strings.Contains(err.Error(), "512 MB of swap, 256 MB of disk") {
		t.Errorf("%v", err)
	}
	for _, over := range []map[string]string{{"SWAP": "perhaps"}, {"FILESYSTEM": "ntfs"}, {"SWAP_SIZE": "-1"}, {"IMAGE_NAME": "../../etc/passwd"}, {"KERNEL_ARGS": "quiet\nmenuentry {"}, {"OVERLAY": "a/b"}} {
		if r, err := d.Resolve(0, over); err == nil {
			t.Errorf("%v is %+v", over, r)
		}
	}
	if r, err := d.Resolve(0, nil); err != nil || r.FitSwap(1<<40) == nil {
		t.Errorf("swap of a size that nobody knows: %+v, %v", r, err)
	}
	if r, err := d.Resolve(0, map[string]string{"OVERLAY": ""}); err != nil || r.Overlay != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestDir(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "defs"))
	if all, err := dir.List(); err != nil || len(all) > 0 {
		t.Fatalf("%v, %v", all, err)
	}
	d, err := Import("debian", sample)
	if err != nil {
		t.Fatal(err)
	}
	d.Layout = &Layout{Table: "gpt", Partitions: []Partition{{Mount: "bios", Size: 1}, {Mount: "/"}}}
	for range 2 {
		if made, err := dir.Put(d); err != nil || made.Version != 1 {
			t.Fatalf("%+v, %v", made, err)
		}
	}
	d.Settings["FILESYSTEM"] = "ext3"
	d.Features = map[string]bool{"ssh": false}
	if made, err := dir.Put(d); err != nil || made.Version != 2 {
		t.Fatalf("%+v, %v", made, err)
	}
	first, err := dir.Get("debian@1")
	if err != nil || first.Settings["FILESYSTEM"] != "ext4" || first.Layout == nil || first.Version != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := dir.Get("debian")
	if err != nil {
		t.Fatal(err)
	}
	diff := Diff(first, second)
	if len(diff) != 2 || diff[0] != (Changed{"FILESYSTEM", "ext4", "ext3"}) || diff[1] != (Changed{"feature ssh", "true", "false"}) {
		t.Errorf("%+v", diff)
	}
	for _, ref := range []string{"debian@3", "gentoo", "../x", "debian@x", ""} {
		if d, err := dir.Get(ref); err == nil {
			t.Errorf("%s is %+v", ref, d)
		}
	}
	if all, err := dir.List(); err != nil || len(all) != 1 || all[0].Version != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "settings: {SWAP: \"no\"}\n", "b.json": `{"name":"b","settings":{"SWAP":"no"},"layout":{"table":"mbr","partitions":[{"mount":"/"}]}}`, "c.conf": "SWAP=no",
		"bad.yaml": "settings: {SWOP: \"no\"}\n", "worse.yaml": "setings: {}\n", "twice.json": `{"layout":{"table":"mbr","partitions":[{"mount":"/","size_mb":1},{"mount":"/"}]}}`, "off.yaml": "features: {sssh: false}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Read(path)
		if good := len(name) == 6; good && (err != nil || d.Settings["SWAP"] != "no" || d.Name != name[:1]) || !good && err == nil {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// FuzzDefinition reads definitions as they are uploaded: what is accepted can be read
// again.
func FuzzDefinition(f *testing.F) {
	d, err := Import("web", sample)
	if err != nil {
		f.Fatal(err)
	}
	b, err := yaml.Marshal(d)
	if err != nil {
		f.Fatal(err)
	}
	disktest.AddSpoilt(f, 200, b, []byte("name: x\nversion: 1\n"), []byte("{\"name\": \"x\"}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parse("x", "x.yaml", b); err == nil && d.Check() != nil {
			t.Errorf("%q was accepted", b)
		}
	})
}

func TestMistakesAreSentences(t *testing.T) {
	for text, want := range map[string]string{
		"name: web\nfoo: 1\nbar: 2\n": "web.yaml: line 2: there is no field foo; line 3: there is no field bar",
		"name: web\nsettings: 3\n":    "web.yaml: line 2: `3` is not what belongs there",
		"":                            "web.yaml: it is empty",
		"name: [\n":                   "web.yaml: line 1: did not find expected node content",
	} {
		path := filepath.Join(t.TempDir(), "web.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
