package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A disk is named as people name files, from where they are: 'hearth volume import
// disk.vmdk'. The tool that converts it runs elsewhere.
func TestImportOfANameInThisDirectory(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("there is no qemu-img")
	}
	dir := t.TempDir()
	t.Chdir(dir)
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "vmdk", "disk.vmdk", "1M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	i := importer{ctx: t.Context(), progress: os.Stderr}
	path, err := i.local("disk.vmdk", t.TempDir())
	if err != nil || path != filepath.Join(dir, "disk.vmdk") {
		t.Fatalf("%q, %v", path, err)
	}
	ready, err := i.prepare(path, t.TempDir())
	if err != nil || ready.format != "qcow2" || ready.size != 1<<20 {
		t.Errorf("%+v, %v", ready, err)
	}
}
