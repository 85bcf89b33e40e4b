package ganeti

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/osdef"
)

// environ is what Ganeti 3.0.2 gave a create script, as far as it matters.
func environ(path string, more ...string) []string {
	return append([]string{"OS_API_VERSION=20", "INSTANCE_NAME=web1.lab", "INSTANCE_OS=hearth+default", "OS_VARIANT=default", "HYPERVISOR=kvm", "DISK_COUNT=1", "DISK_0_PATH=" + path, "DISK_0_ACCESS=rw", "NIC_COUNT=1",
		"NIC_0_MAC=aa:00:11:22:33:44", "NIC_0_MODE=bridged", "INSTANCE_BE_maxmem=256", "INSTANCE_BE_minmem=128", "INSTANCE_HV_kernel_path=", "INSTANCE_HV_serial_console=True", "DEBUG_LEVEL=1", "OSP_IMAGE_NAME=x", "HOME=/root"}, more...)
}

func TestParseEnv(t *testing.T) {
	e, err := ParseEnv(environ("/dev/x"))
	if err != nil {
		t.Fatal(err)
	}
	if e.API != 20 || e.Name != "web1.lab" || e.Memory != 256<<20 || !e.Serial || !e.Debug || len(e.Disks) != 1 || e.Disks[0] != (Disk{"/dev/x", "rw"}) || e.NICs != 1 || e.Parameters["IMAGE_NAME"] != "x" || e.KernelPath != "" {
		t.Errorf("%+v", e)
	}
	if slices.Contains(e.All, "HOME=/root") || !slices.Contains(e.All, "NIC_0_MAC=aa:00:11:22:33:44") {
		t.Errorf("%v", e.All)
	}
	for _, bad := range []string{"OS_API_VERSION=5", "OS_API_VERSION=x", "DISK_COUNT=17", "DISK_COUNT=2", "DISK_0_PATH=disk", "INSTANCE_BE_maxmem=-1", "INSTANCE_NAME=../x", "OS_VARIANT=a/b", "NIC_COUNT=99", "EXPORT_DEVICE=x", "OSP_X=" + strings.Repeat("x", 70000)} {
		if e, err := ParseEnv(append(environ("/dev/x"), bad)); err == nil {
			t.Errorf("%.40s is %+v", bad, e)
		}
	}
}

func FuzzParseEnv(f *testing.F) {
	f.Add(strings.Join(environ("/dev/x"), "\n"))
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseEnv(strings.Split(text, "\n"))
		if err == nil && (len(e.Disks) > maxDisks || e.Memory < 0 || strings.Contains(e.Variant, "/")) {
			t.Errorf("%+v", e)
		}
	})
}

func TestInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "os", "hearth")
	for range 2 {
		if err := Install(dir, "/opt/it's/hearth", []string{"--settings", "/etc/x"}, []string{"default", "web"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range Scripts() {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
		if out, err := exec.Command("sh", "-n", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	for name, want := range map[string]string{"ganeti_api_version": "20\n15\n10\n", "variants.list": "default\nweb\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); string(b) != want || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "parameters.list"))
	if err != nil || !strings.Contains(string(b), "\nimage_name ") || strings.Contains(string(b), "\n\n") {
		t.Errorf("%s, %v", b, err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "create"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Install(other, "/x", nil, nil); err == nil {
		t.Error("another definition is replaced")
	}
}

func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("defaults", "SWAP=no\nFILESYSTEM=ext4\nVARIANTS_DIR="+dir+"\n")
	write("web.conf", "FILESYSTEM=ext2\n")
	p := Places{Definitions: osdef.Dir(filepath.Join(dir, "defs")), Settings: filepath.Join(dir, "defaults")}
	if d, err := p.Definition("web"); err != nil || d.Settings["FILESYSTEM"] != "ext2" || d.Settings["SWAP"] != "no" {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := p.Definition(""); err != nil || d.Settings["FILESYSTEM"] != "ext4" {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := p.Definition("none"); err == nil {
		t.Errorf("%+v", d)
	}
	if _, err := p.Definitions.Put(&osdef.Definition{Name: "web", Settings: map[string]string{"SWAP": "yes"}}); err != nil {
		t.Fatal(err)
	}
	if d, err := p.Definition("web"); err != nil || d.Version != 1 || d.Settings["SWAP"] != "yes" {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestScripts has one disk created, exported, imported and renamed.
func TestScripts(t *testing.T) {
	image := guestfstest.Image(t, guestfstest.Options{Partition: true, Size: 32 << 20}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/hostname=old\n", "data=hearth", "boot/extlinux/extlinux.conf= append quiet\n", "etc/inittab=\n")
	})
	dir := t.TempDir()
	settings := filepath.Join(dir, "settings")
	if err := os.WriteFile(settings, []byte("CUSTOMIZE_DIR=/nowhere\nEXPORT_DIR="+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	blank := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 64<<20); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var archive bytes.Buffer
	do := func(script string, env []string) {
		t.Helper()
		e, err := ParseEnv(env)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		out := &bytes.Buffer{}
		err = (&Answer{Run: &disk.Runner{}, Env: e, Places: Places{Settings: settings}, In: &archive, Out: out, Log: &log}).Do(context.Background(), script)
		if disk.KindOf(err) == disk.ToolMissing {
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, log.String())
		}
		archive = *out
	}
	name := func(path, want string) {
		t.Helper()
		d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		tree, err := d.Tree()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := tree.ReadFile("/etc/hostname", 100); string(b) != want || err != nil {
			t.Errorf("%s is named %q, %v", path, b, err)
		}
		if b, err := tree.ReadFile("/data", 100); string(b) != "hearth" || err != nil {
			t.Errorf("data %q, %v", b, err)
		}
	}
	a, b := blank("a"), blank("b")
	param := "OSP_IMAGE=" + image
	do("verify", environ(a, param))
	do("create", environ(a, param))
	name(a, "web1\n")
	do("export", environ(a, param, "EXPORT_DEVICE="+a))
	list := exec.Command("tar", "tf", "-")
	list.Stdin = bytes.NewReader(archive.Bytes())
	if out, err := list.Output(); err != nil || string(out) != "./disk.img\n" {
		t.Errorf("the archive has %q, %v", out, err)
	}
	do("import", environ(b, param, "IMPORT_DEVICE="+b, "INSTANCE_NAME=web2.lab"))
	name(b, "web2\n")
	do("rename", environ(b, param, "INSTANCE_NAME=web3.lab", "OLD_INSTANCE_NAME=web2.lab"))
	name(b, "web3\n")
	guestfstest.Clean(t, b, 1<<20)
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestForeign(t *testing.T) {
	dir, disks := t.TempDir(), t.TempDir()
	for name, s := range map[string]string{"ganeti_api_version": "20\n", "variants.list": "# those\nold\n",
		"create": "#!/bin/sh\ntest -n \"$DISK_0_PATH\" || exit 2\nenv | grep -c -E '^(OS_API_VERSION=20|INSTANCE_NAME=web1|INSTANCE_OS=.*[+]old|NIC_0_MAC=aa|OSP_SUITE=sid|DISK_COUNT=1|DISK_0_SIZE=1|OS_VARIANT=old)$'\necho made > $DISK_0_PATH\n",
		"rename": "#!/bin/sh\necho \"no $OLD_INSTANCE_NAME\" >&2\nexit 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(disks, "disk")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	f := &Foreign{Dir: dir, Name: "web1", Disks: []string{path}, NICs: []string{"aa"}, Settings: map[string]string{"suite": "sid"}, OldName: "web0", Log: &log}
	if err := f.Run(context.Background(), "create"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "made\n" || log.String() != "8\n" {
		t.Errorf("%q, %q", b, log.String())
	}
	if err := f.Run(context.Background(), "rename"); err == nil || !strings.Contains(err.Error(), "no web0") {
		t.Errorf("%v", err)
	}
	checkForeign(t, f)
	f.Dir = disks
	if err := f.Run(context.Background(), "create"); err == nil {
		t.Error("a folder that is no definition")
	}
}

// checkForeign asks a definition with the variant old and no parameters for what it has not.
func checkForeign(t *testing.T, f *Foreign) {
	t.Helper()
	for _, c := range []struct {
		script, variant, param, name, old, want string
	}{
		{"create", "", "", "web1", "", ""},
		{"verify", "old", "", "", "", ""},
		{"rename", "old", "", "web1", "web0", ""},
		{"rename", "", "", "web1", "", "its old name is needed"},
		{"create", "new", "", "web1", "", `there is no variant "new"; there are: old`},
		{"create", "", "suite", "web1", "", `there is no parameter "suite"; there are: none`},
		{"create", "", "", "", "", "want the instance's name"},
		{"export", "", "", "web1", "", "has no script export"},
		{"remove", "", "", "web1", "", `there is no script "remove"`},
	} {
		ask := Foreign{Dir: f.Dir, Variant: c.variant, Name: c.name, OldName: c.old, Settings: map[string]string{}}
		if c.param != "" {
			ask.Settings[c.param] = "x"
		}
		if err := ask.Check(c.script); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
