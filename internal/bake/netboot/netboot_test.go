package netboot

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScript holds the scripts against what iPXE is to do, and refuses what would be another script.
func TestScript(t *testing.T) {
	for _, c := range []struct {
		name  string
		start Start
		want  []string
	}{
		{"script", Start{URL: "http://web.example/boot.ipxe"}, []string{"\nchain --autofree http://web.example/boot.ipxe && exit ||\n"}},
		{"kernel", Start{URL: "http://w/k", Ramdisks: []string{"http://w/r1", "tftp://w/r2"}, Arguments: "console=ttyS0 quiet"},
			[]string{"\nkernel http://w/k console=ttyS0 quiet && initrd http://w/r1 && initrd tftp://w/r2 && boot ||\n"}},
		{"folder", Start{URL: "https://w/f/", Arguments: "auto=true"}, []string{
			"\nkernel https://w/f/linux auto=true && initrd https://w/f/initrd.gz && boot ||\n",
			"\nkernel https://w/f/images/pxeboot/vmlinuz auto=true && initrd https://w/f/images/pxeboot/initrd.img && boot ||\n",
			"\nkernel https://w/f/boot/x86_64/loader/linux auto=true && initrd https://w/f/boot/x86_64/loader/initrd && boot ||\n",
		}},
	} {
		got, err := c.start.Script()
		if err != nil || !strings.HasPrefix(got, "#!ipxe\n") || !strings.Contains(got, "\ndhcp || goto later\n") || !strings.HasSuffix(got, "\ngoto again\n") {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%s", c.name, want, got)
			}
		}
	}
	for _, bad := range []Start{
		{URL: "boot.ipxe"}, {URL: "file:///etc/passwd"}, {URL: "http://w/a b"}, {URL: "http://w/a\nshell"}, {URL: "http:///x"},
		{URL: "http://w/f/", Arguments: "a\nshell"}, {URL: "http://w/f/", Arguments: "a || shell"}, {URL: "http://w/boot.ipxe", Arguments: "quiet"},
		{URL: "http://w/k", Ramdisks: []string{"r"}},
	} {
		if got, err := bad.Script(); err == nil {
			t.Errorf("%+v: no error:\n%s", bad, got)
		}
	}
}

// TestCD makes a CD-ROM of something that has iPXE's files, and has another tool read it.
func TestCD(t *testing.T) {
	xorriso, err := exec.LookPath("xorriso")
	if err != nil {
		t.Skip("xorriso is not installed")
	}
	dir := t.TempDir()
	tree, ipxe, cd := filepath.Join(dir, "tree"), filepath.Join(dir, "ipxe.iso"), filepath.Join(dir, "cd.iso")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := CD(cd, ipxe, ""); err == nil || !strings.Contains(err.Error(), "package ipxe") {
		t.Errorf("without iPXE: %v", err)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(xorriso, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("xorriso %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	kernel := bytes.Repeat([]byte("ipxe"), 75000)
	for i, name := range []string{"isolinux.bin", "ldlinux.c32", "ipxe.krn"} {
		if i == 2 { // first a CD-ROM that is another's
			run("-as", "mkisofs", "-quiet", "-R", "-o", filepath.Join(dir, "other.iso"), tree)
		}
		if err := os.WriteFile(filepath.Join(tree, name), kernel[:[]int{38912, 119524, 300000}[i]], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("-as", "mkisofs", "-quiet", "-R", "-o", ipxe, tree)
	if err := CD(cd, filepath.Join(dir, "other.iso"), ""); err == nil || !strings.Contains(err.Error(), "no ipxe.krn") {
		t.Errorf("of another's CD-ROM: %v", err)
	}
	const script = "#!ipxe\nshell\n"
	if err := CD(cd, ipxe, script); err != nil {
		t.Fatal(err)
	}
	if got := run("-indev", cd, "-report_el_torito", "plain"); !strings.Contains(got, "BIOS  y   none") || !strings.Contains(got, "boot-info-table") {
		t.Errorf("it does not boot:\n%s", got)
	}
	out := filepath.Join(dir, "out")
	run("-osirrox", "on", "-indev", cd, "-extract", "/", out)
	for name, want := range map[string]string{"boot.ipx": script, "isolinux.cfg": isolinux, "ipxe.krn": string(kernel)} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s: %.40q, %v", name, got, err)
		}
	}
}
