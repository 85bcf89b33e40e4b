package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"hearth/internal/disk/convert"
	"hearth/internal/disk/ova"
)

// TestConvertRefusesFlagsThatDoNothing has a flag that says nothing of what is made be an error,
// not be passed over.
func TestConvertRefusesFlagsThatDoNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string][]byte{"raw": bytes.Repeat([]byte("data"), 1024), "a.tar": tarOf(t, "etc/motd", "welcome\n")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"raw --to qcow2 --size 1G":           "'hearth image grow' makes this one larger",
		"a.tar --to tar.gz --size 1G":        "--size is of a disk",
		"raw --to raw --provider virtualbox": "--provider is of a box: leave it out for raw",
		"raw --to ova --provider virtualbox": "--provider is of a box",
		"raw --to qcow2 --cpus 2":            "--cpus is of a machine in an OVA or a box: leave it out for qcow2",
		"raw --to qcow2 --nic lan":           "--nic is of a machine",
		"a.tar --to tar.gz --name web":       "--name is of a machine",
		"raw --to ova --nic lan:NE2000":      "--nic lan:NE2000: the model is E1000, E1000e, VmxNet3 or VirtIO",
	} {
		cmd := newConvert()
		cmd.SetArgs(append(strings.Fields(args), "-o", "made"))
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetErr(&bytes.Buffer{})
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
		if _, err := os.Lstat("made"); err == nil {
			t.Fatalf("%s made it", args)
		}
	}
}

// TestMachineOfABox has what a box does not say of its machine not be told as none.
func TestMachineOfABox(t *testing.T) {
	var out bytes.Buffer
	printMade(&out, &convert.Result{File: "d.qcow2", VirtualSize: 9, Format: "qcow2", From: "qcow2", Machine: &ova.Machine{Name: "box", Disks: []ova.Disk{{Bus: "virtio"}}}})
	if text := out.String(); strings.Contains(text, "machine") || !strings.Contains(text, "hw_disk_bus=virtio") {
		t.Error(text)
	}
	out.Reset()
	printMade(&out, &convert.Result{File: "d.ova", Format: "ova", From: "qcow2", Machine: &ova.Machine{Name: "d", CPUs: 1, MemoryMB: 512, NICs: []ova.NIC{{}}}})
	if !strings.Contains(out.String(), "machine d: 1 processor, 512 MiB, 1 network card\n") {
		t.Error(out.String())
	}
}
