package ova

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

var sample = Machine{Name: "web", System: "Debian 12 & <more>", CPUs: 2, MemoryMB: 1536, Firmware: "efi", NICs: []NIC{{"net one", "E1000"}, {"net one", "VirtIO"}}}

const content = "what a vmdk would have"

// packed is the package of a machine.
func packed(t testing.TB, m Machine) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(context.Background(), &b, m, path, 3<<30, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNames: a machine may be called in any letters, and as long as it may be.
func TestNames(t *testing.T) {
	for _, name := range []string{"über & <co> ☃", strings.Repeat("x", 80), strings.Repeat("é", 40)} {
		m := sample
		m.Name = name
		b := packed(t, m)
		p, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil || !Is(bytes.NewReader(b)) || p.Machine.Name != name || p.Machine.Disks[0].File != name+"-disk1.vmdk" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	b := packed(t, sample)
	if !Is(bytes.NewReader(b)) || Is(strings.NewReader("no")) {
		t.Error("an OVA is not known as one")
	}
	p, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(p.Notes) != 0 {
		t.Fatal(p, err)
	}
	m := *p.Machine
	d := m.Disks[0]
	if d.Capacity != 3<<30 || d.Bus != "sata" || d.File != "web-disk1.vmdk" || d.Size != int64(len(content)) {
		t.Errorf("disk %+v", d)
	}
	if m.Disks = nil; !reflect.DeepEqual(m, sample) {
		t.Errorf("%+v, want %+v", m, sample)
	}
	if got := strings.Join(p.Machine.Lines(), " "); got != "hw_disk_bus=sata hw_firmware_type=uefi hw_vif_model=e1000 min_ram=1536" {
		t.Error(got)
	}
	dst := filepath.Join(t.TempDir(), "disk")
	if err := p.Extract(context.Background(), 0, dst); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(dst); string(got) != content {
		t.Errorf("the disk has %q", got)
	}
	if err := p.Extract(context.Background(), 2, dst+"2"); disk.KindOf(err) != disk.Unsupported {
		t.Errorf("the second disk of one: %v", err)
	}
}

// TestDescriptorsOrder holds the descriptor against the schema's rules that others
// stumble over: sections in their order, an Item's elements in that of the alphabet,
// every id named once and every reference to one that is there.
func TestDescriptorsOrder(t *testing.T) {
	text, err := describe(sample, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	var path, sections []string
	items, ids := [][]string{}, map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if len(path) == 1 {
				sections = append(sections, e.Name.Local)
			}
			if e.Name.Local == "Item" {
				items = append(items, nil)
			}
			if len(path) > 0 && path[len(path)-1] == "Item" {
				items[len(items)-1] = append(items[len(items)-1], e.Name.Local)
				if !strings.HasSuffix(e.Name.Space, "CIM_ResourceAllocationSettingData") {
					t.Errorf("%s is of %s", e.Name.Local, e.Name.Space)
				}
			}
			path = append(path, e.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) > 0 && path[len(path)-1] == "InstanceID" {
				ids[string(e)]++
			}
		}
	}
	if want := []string{"References", "DiskSection", "NetworkSection", "VirtualSystem"}; !slices.Equal(sections, want) {
		t.Errorf("sections %v", sections)
	}
	for _, i := range items {
		if !slices.IsSorted(i) || !slices.Contains(i, "InstanceID") || !slices.Contains(i, "ResourceType") || !slices.Contains(i, "ElementName") {
			t.Errorf("an item has %v", i)
		}
	}
	if len(items) != 6 || len(ids) != 7 {
		t.Errorf("%d items, ids %v", len(items), ids)
	}
}

// entry is a member of a package made by hand.
type entry struct {
	name, text string
	kind       byte
}

func archive(t testing.TB, entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Size: int64(len(e.text)), Mode: 0o644, Typeflag: e.kind}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		} else {
			h.Size, h.Linkname = 0, "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, e.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ovfText(t testing.TB, old, to string) string {
	text, err := describe(sample, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("no %q in the descriptor", old)
	}
	return strings.ReplaceAll(string(text), old, to)
}

func TestRefused(t *testing.T) {
	vmdk := entry{name: "web-disk1.vmdk", text: content}
	with := func(old, to string) []byte {
		return archive(t, entry{name: "web.ovf", text: ovfText(t, old, to)}, vmdk)
	}
	good := entry{name: "web.ovf", text: ovfText(t, "web", "web")}
	hash := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	mf := func(text string) []byte { return archive(t, good, entry{name: "web.mf", text: text}, vmdk) }
	whole := packed(t, sample)
	changed := bytes.Replace(bytes.Clone(whole), []byte("byte * 2^20"), []byte("byte * 2^30"), 1)
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"no tar":         {[]byte(strings.Repeat("x", 2000)), "no whole tar"},
		"cut short":      {whole[:2000], ""},
		"no descriptor":  {archive(t, vmdk), "no descriptor"},
		"no xml":         {archive(t, entry{name: "a.ovf", text: "<Envelope>"}), "no OVF"},
		"entities":       {archive(t, entry{name: "a.ovf", text: `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Envelope><VirtualSystem><Name>&a;</Name></VirtualSystem></Envelope>`}), "no OVF"},
		"gigantic":       {archive(t, entry{name: "a.ovf", text: strings.Repeat(" ", maxOVF+1)}), "more than"},
		"path":           {archive(t, good, entry{name: "../web-disk1.vmdk", text: content}), "not beside"},
		"absolute":       {archive(t, good, entry{name: "/etc/cron.d/x", text: content}), "not beside"},
		"link":           {archive(t, good, entry{name: "web-disk1.vmdk", kind: tar.TypeSymlink}), "no plain file"},
		"hard link":      {archive(t, good, entry{name: "web-disk1.vmdk", kind: tar.TypeLink}), "no plain file"},
		"device":         {archive(t, good, entry{name: "web-disk1.vmdk", kind: tar.TypeBlock}), "no plain file"},
		"twice":          {archive(t, good, vmdk, vmdk), "twice"},
		"no disk":        {archive(t, good), "not in the package"},
		"href url":       {with("web-disk1.vmdk", "http://example.org/disk.vmdk"), "not beside"},
		"href path":      {with("web-disk1.vmdk", "../../etc/passwd"), "not beside"},
		"href absolute":  {with("web-disk1.vmdk", "/etc/passwd"), "not beside"},
		"href file":      {with("web-disk1.vmdk", "file:///etc/passwd"), "not beside"},
		"chunks":         {with(`ovf:id="file1"`, `ovf:id="file1" ovf:chunkSize="5"`), "in pieces"},
		"packed":         {with(`ovf:id="file1"`, `ovf:id="file1" ovf:compression="gzip"`), "packed by"},
		"parent":         {with(`ovf:diskId="disk1"`, `ovf:diskId="disk1" ovf:parentRef="x"`), "differences"},
		"host":           {with("ovf:/disk/disk1", "/dev/sda"), "not in the package"},
		"other disk":     {with("ovf:/disk/disk1", "ovf:/disk/x"), "not in the descriptor"},
		"cpus":           {with("<rasd:VirtualQuantity>2<", "<rasd:VirtualQuantity>-2<"), "processors"},
		"memory":         {with("byte * 2^20", "byte * 2^60"), "no unit"},
		"much memory":    {with("<rasd:VirtualQuantity>1536<", "<rasd:VirtualQuantity>9223372036854775807<"), "beyond all bounds"},
		"collection":     {with("<VirtualSystem ", "<VirtualSystemCollection/><VirtualSystem "), "collection"},
		"changed":        {changed, "not what the manifest says"},
		"manifest less":  {mf("SHA256(web.ovf)= " + hash(good.text) + "\n"), "says nothing of"},
		"manifest other": {mf("SHA256(../../etc/passwd)= " + hash("") + "\n"), "of no file"},
		"manifest weak":  {mf("MD5(web.ovf)= d41d8cd98f00b204e9800998ecf8427e\n"), "of no hash"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(bytes.NewReader(c.data), int64(len(c.data)))
			if k := disk.KindOf(err); k != disk.Refused && k != disk.Unsupported || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	damaged := bytes.Replace(bytes.Clone(whole), []byte(content), []byte(strings.ToUpper(content)), 1)
	p, err := Open(bytes.NewReader(damaged), int64(len(damaged)))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Extract(context.Background(), 1, filepath.Join(t.TempDir(), "x")); disk.KindOf(err) != disk.Refused {
		t.Errorf("a damaged disk: %v", err)
	}
	b := archive(t, good, vmdk)
	if p, err := Open(bytes.NewReader(b), int64(len(b))); err != nil || len(p.Notes) != 1 {
		t.Errorf("without a manifest: %+v, %v", p, err)
	}
	if err := Write(context.Background(), io.Discard, Machine{Name: "../x", CPUs: 1, MemoryMB: 1}, os.DevNull, 0, time.Time{}); err == nil {
		t.Error("a machine named ../x is written")
	}
}

// version2 is as VMware's newer products and VirtualBox write a descriptor.
const version2 = `<?xml version="1.0"?>
<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2" xmlns="http://schemas.dmtf.org/ovf/envelope/2" xmlns:rasd="r" xmlns:sasd="s" xmlns:epasd="e">
<ovf:References><ovf:File ovf:id="f" ovf:href="box.vmdk"/></ovf:References>
<ovf:DiskSection><ovf:Info/><ovf:Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="8" ovf:capacityAllocationUnits="byte * 2^30"/><ovf:Disk ovf:diskId="empty" ovf:capacity="1"/></ovf:DiskSection>
<ovf:VirtualSystem ovf:id="box"><ovf:VirtualHardwareSection>
<ovf:Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>4</rasd:VirtualQuantity></ovf:Item>
<ovf:Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></ovf:Item>
<ovf:Item><rasd:InstanceID>9</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></ovf:Item>
<ovf:StorageItem><sasd:HostResource>ovf:/disk/d</sasd:HostResource><sasd:Parent>9</sasd:Parent><sasd:ResourceType>17</sasd:ResourceType></ovf:StorageItem>
<ovf:StorageItem><sasd:HostResource>ovf:/disk/empty</sasd:HostResource><sasd:ResourceType>17</sasd:ResourceType></ovf:StorageItem>
<ovf:EthernetPortItem><epasd:Connection>NAT</epasd:Connection><epasd:ResourceSubType>VmxNet3</epasd:ResourceSubType><epasd:ResourceType>10</epasd:ResourceType></ovf:EthernetPortItem>
</ovf:VirtualHardwareSection></ovf:VirtualSystem></ovf:Envelope>`

func TestVersion2(t *testing.T) {
	m, err := parseOVF([]byte(version2))
	want := &Machine{Name: "box", CPUs: 4, MemoryMB: 512, NICs: []NIC{{"NAT", "VmxNet3"}}, Disks: []Disk{{ID: "d", File: "box.vmdk", Capacity: 8 << 30, Bus: "sata"}}}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("%+v, %v; want %+v", m, err, want)
	}
}

func FuzzOVF(f *testing.F) {
	disktest.AddSpoilt(f, 300, []byte(version2), []byte(ovfText(f, "web", "x")))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseOVF(text)
		if err != nil {
			return
		}
		for _, d := range m.Disks {
			if flat(d.File) != nil || d.Capacity < 0 {
				t.Errorf("disk %+v", d)
			}
		}
	})
}

func FuzzPackage(f *testing.F) {
	disktest.AddSpoilt(f, 300, packed(f, sample),
		archive(f, entry{name: "web.ovf", text: version2}, entry{name: "box.vmdk", text: "x"}, entry{name: "web.mf", text: "SHA1(web.ovf)= 00"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, d := range p.Machine.Disks {
			if d.at < 0 || d.Size < 0 || d.at+d.Size > int64(len(data)) {
				t.Errorf("disk %+v of a package of %d bytes", d, len(data))
			}
		}
	})
}
