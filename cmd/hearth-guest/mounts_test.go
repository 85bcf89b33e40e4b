package main

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestWhichVolumesAreWanted(t *testing.T) {
	for text, want := range map[string]int{
		`{}`: 0, `not json`: 0, `{"cloud-init":"x"}`: 0,
		`{"hearth":{"mounts":[{"serial":"a","label":"b","path":"/data"}]}}`:                           1,
		`{"hearth":{"mounts":[{"path":"/"},{"path":"data"},{"path":"/a/../etc"},{"path":"/srv/x"}]}}`: 1,
	} {
		if got := parseMounts([]byte(text)); len(got) != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestVolumesAreFoundBySerialAndLabel(t *testing.T) {
	g := newGuest(t.TempDir(), &bytes.Buffer{})
	put := func(name, text string) {
		t.Helper()
		if err := g.writeFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sb := make([]byte, 4096)
	binary.LittleEndian.PutUint16(sb[1024+0x38:], 0xef53)
	copy(sb[1024+0x78:], "data")
	put("sys/block/vda/serial", "")
	put("dev/vda", string(sb))
	put("sys/block/vdb/serial", "0d2f8a9c-0000-4000-8\n")
	put("dev/vdb", "nothing on it")
	m := mount{Serial: "0d2f8a9c-0000-4000-8000-000000000002", Label: "data", Path: "/data"}
	if got := g.volume(m); got != g.path("dev/vdb") {
		t.Errorf("by its serial number: %q", got)
	}
	m.Serial = "another"
	if got := g.volume(m); got != g.path("dev/vda") {
		t.Errorf("by its label: %q", got)
	}
	m.Label = "dat"
	if got := g.volume(m); got != "" {
		t.Errorf("of neither: %q", got)
	}
	put("proc/self/mountinfo", "25 30 254:16 / /data rw,relatime shared:1 - ext4 /dev/vdb rw\n")
	if !g.isMounted("/data") || g.isMounted("/dat") {
		t.Error("what is mounted")
	}
}

func TestEventsOfNewDisks(t *testing.T) {
	event := "add@/devices/pci0000:00/0000:00:07.0/virtio5/block/vdb\x00ACTION=add\x00SUBSYSTEM=block\x00DEVNAME=vdb\x00DEVTYPE=disk\x00SEQNUM=1\x00"
	if !newDisk([]byte(event)) {
		t.Error("a disk is not seen")
	}
	for _, other := range []string{"", "add@", "remove" + event[3:], "add@/x\x00SUBSYSTEM=net\x00", "add@/x\x00SUBSYSTEM=block\x00DEVTYPE=partition\x00"} {
		if newDisk([]byte(other)) {
			t.Errorf("%q is taken for a disk", other)
		}
	}
}
