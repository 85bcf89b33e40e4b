package disk

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"hearth/internal/disk/disktest"
)

// bytesAt makes n bytes with marks at places.
func bytesAt(n int, marks map[int]string) []byte {
	b := make([]byte, n)
	for off, s := range marks {
		copy(b[off:], s)
	}
	return b
}

func TestSniff(t *testing.T) {
	tests := []struct {
		name    string
		bytes   []byte
		format  Format
		content Content
	}{
		{"empty", nil, Raw, Unknown},
		{"zeros", make([]byte, SniffLen), Raw, Unknown},
		{"text", []byte("hello, world"), Raw, Unknown},
		{"qcow2", qcow2Bytes(nil), QCOW2, Unknown},
		{"qcow1", []byte("QFI\xfb\x00\x00\x00\x01"), QCOW1, Unknown},
		{"vmdk sparse", []byte("KDMV\x01\x00"), VMDK, Unknown},
		{"vmdk text", []byte("# Disk DescriptorFile\nversion=1"), VMDK, Unknown},
		{"vdi", bytesAt(512, map[int]string{0: "<<< QEMU VM", 0x40: "\x7f\x10\xda\xbe"}), VDI, Unknown},
		{"vhd", []byte("conectix\x00"), VHD, Unknown},
		{"vhdx", []byte("vhdxfile"), VHDX, Unknown},
		{"iso", bytesAt(34816, map[int]string{32769: "CD001"}), ISO, Unknown},
		{"hybrid iso", bytesAt(34816, map[int]string{510: "\x55\xaa", 32769: "CD001"}), ISO, MBR},
		{"ext", bytesAt(4096, map[int]string{1024 + 0x38: "\x53\xef"}), Raw, Ext},
		{"xfs", []byte("XFSB"), Raw, XFS},
		{"f2fs", bytesAt(4096, map[int]string{1024: "\x10\x20\xf5\xf2"}), Raw, F2FS},
		{"btrfs", bytesAt(SniffLen, map[int]string{0x10040: "_BHRfS_M"}), Raw, Btrfs},
		{"mbr", bytesAt(512, map[int]string{510: "\x55\xaa"}), Raw, MBR},
		{"gpt", bytesAt(1024, map[int]string{510: "\x55\xaa", 512: "EFI PART"}), Raw, GPT},
		{"bzImage", bytesAt(1024, map[int]string{0: "MZ", 510: "\x55\xaa", 0x202: "HdrS"}), Raw, Kernel},
		{"cpio", []byte("070701000"), Raw, Ramdisk},
		{"gzip", []byte("\x1f\x8b\x08"), Raw, Packed},
		{"zstd", []byte("\x28\xb5\x2f\xfd"), Raw, Packed},
		{"packed with a late mark of a boot sector", bytesAt(512, map[int]string{0: "\x1f\x8b", 510: "\x55\xaa"}), Raw, Packed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Sniff(tt.bytes)
			if got.Format != tt.format || got.Content != tt.content {
				t.Errorf("Sniff = %s/%s, want %s/%s", got.Format, got.Content, tt.format, tt.content)
			}
			info, err := Detect(bytes.NewReader(tt.bytes), int64(len(tt.bytes)))
			if (err == nil) != HeadSuffices(tt.format) || info.Format != tt.format { // a head alone is refused
				t.Errorf("Detect = %s, %v, want %s", info.Format, err, tt.format)
			}
		})
	}
}

func TestDetectFixedVHD(t *testing.T) {
	b := vhd(2, 4096-512, same)
	info, err := Detect(bytes.NewReader(b), int64(len(b)))
	if err != nil || info.Format != VHD || info.VirtualSize != 4096-512 {
		t.Errorf("Detect = %+v, %v", info, err)
	}
}

func TestCheckClaim(t *testing.T) {
	qcow2, raw, vmdk := Info{Format: QCOW2}, Info{Format: Raw}, Info{Format: VMDK}
	kernel, ext := Info{Format: Raw, Content: Kernel}, Info{Format: Raw, Content: Ext}
	packed, iso := Info{Format: Raw, Content: Packed, Packing: "gzip"}, Info{Format: ISO}
	tests := []struct {
		claim string
		info  Info
		want  string // part of the sentence; "" when accepted
	}{
		{"raw", raw, ""}, {"raw", ext, ""}, {"raw", packed, ""}, {"raw", iso, ""},
		{"raw", qcow2, "named raw, but its bytes are qcow2; upload it again with disk_format qcow2"},
		{"raw", vmdk, "vmdk"}, {"ami", qcow2, "qcow2"}, {"aki", vmdk, "vmdk"},
		{"qcow2", qcow2, ""}, {"qcow2", raw, "of no format known here (raw)"}, {"qcow2", vmdk, "vmdk"},
		{"iso", iso, ""}, {"iso", raw, "disk_format raw"},
		{"aki", kernel, ""}, {"aki", raw, ""}, {"aki", packed, ""}, {"aki", ext, "upload it again with disk_format ami"},
		{"ari", packed, ""}, {"ari", kernel, "a Linux kernel"}, {"ari", ext, "file system (ext)"},
		{"ami", ext, ""}, {"ami", raw, ""}, {"ami", kernel, "disk_format aki"},
		{"vhd", Info{Format: VHD}, ""}, {"vpc", Info{Format: VHD}, ""},
		{"ploop", raw, "not known here"}, {"", raw, "not known here"},
	}
	for _, tt := range tests {
		err := CheckClaim(tt.claim, tt.info)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s for %+v: %v", tt.claim, tt.info, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s for %+v: error %v, want %q", tt.claim, tt.info, err, tt.want)
		}
	}
}

// qcow2Bytes makes a sound qcow2 of 1 GiB with 64 KiB clusters, then spoils it.
func qcow2Bytes(spoil func(b []byte)) []byte {
	b := make([]byte, 4<<16)
	be := binary.BigEndian
	copy(b, "QFI\xfb")
	be.PutUint32(b[4:], 3)
	be.PutUint32(b[20:], 16)
	be.PutUint64(b[24:], 1<<30)
	be.PutUint32(b[36:], 2)
	be.PutUint64(b[40:], 3<<16)
	be.PutUint64(b[48:], 1<<16)
	be.PutUint32(b[56:], 1)
	be.PutUint32(b[96:], 4)
	be.PutUint32(b[100:], 112)
	if spoil != nil {
		spoil(b)
	}
	return b
}

func TestParseQCOW2(t *testing.T) {
	be := binary.BigEndian
	tests := []struct {
		name  string
		spoil func(b []byte)
		kind  Kind
		say   string
	}{
		{"sound", nil, "", ""},
		{"zstd", func(b []byte) { b[79] = 8; b[104] = 1 }, "", ""},
		{"version 9", func(b []byte) { be.PutUint32(b[4:], 9) }, Unsupported, "version 9"},
		{"backing file", func(b []byte) { be.PutUint64(b[8:], 120); be.PutUint32(b[16:], 11) }, Refused, "backing file"},
		{"backing file without length", func(b []byte) { be.PutUint64(b[8:], 120) }, Refused, "backing file"},
		{"data file", func(b []byte) { b[79] = 4 }, Refused, "external file"},
		{"data file name", func(b []byte) { be.PutUint32(b[112:], 0x44415441); be.PutUint32(b[116:], 8) }, Refused, "data file"},
		{"unknown feature", func(b []byte) { b[78] = 1 }, Unsupported, "unknown here"},
		{"corrupt", func(b []byte) { b[79] = 2 }, Refused, "corrupt"},
		{"dirty", func(b []byte) { b[79] = 1 }, Refused, "not closed"},
		{"encrypted", func(b []byte) { be.PutUint32(b[32:], 2) }, Unsupported, "encrypted"},
		{"tiny clusters", func(b []byte) { be.PutUint32(b[20:], 3) }, Refused, "cluster size"},
		{"huge clusters", func(b []byte) { be.PutUint32(b[20:], 63) }, Refused, "cluster size"},
		{"bomb", func(b []byte) { be.PutUint64(b[24:], 1<<60) }, TooBig, "limit"},
		{"negative size", func(b []byte) { be.PutUint64(b[24:], 1<<63) }, Refused, "beyond all bounds"},
		{"small L1", func(b []byte) { be.PutUint32(b[36:], 1) }, Refused, "L1 table has 1"},
		{"large L1", func(b []byte) { be.PutUint32(b[36:], 1<<31) }, Refused, "L1 table"},
		{"L1 outside", func(b []byte) { be.PutUint64(b[40:], 1<<40) }, Refused, "outside"},
		{"L1 crooked", func(b []byte) { be.PutUint64(b[40:], 77) }, Refused, "begin of a cluster"},
		{"no reference counts", func(b []byte) { be.PutUint32(b[56:], 0) }, Refused, "reference count"},
		{"reference counts outside", func(b []byte) { be.PutUint64(b[48:], 1<<30) }, Refused, "outside"},
		{"reference order", func(b []byte) { be.PutUint32(b[96:], 60) }, Refused, "order"},
		{"header length", func(b []byte) { be.PutUint32(b[100:], 1<<20) }, Refused, "header length"},
		{"extension too long", func(b []byte) { be.PutUint32(b[112:], 77); be.PutUint32(b[116:], 1<<31) }, Refused, "extension"},
		{"snapshots", func(b []byte) { be.PutUint32(b[60:], 1<<30) }, Refused, "snapshots"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := qcow2Bytes(tt.spoil)
			h, err := ParseQCOW2(bytes.NewReader(b), int64(len(b)), Limits{})
			if KindOf(err) != tt.kind || err != nil && !strings.Contains(err.Error(), tt.say) {
				t.Fatalf("error %v, want kind %q saying %q", err, tt.kind, tt.say)
			}
			if err == nil && h.VirtualSize != 1<<30 {
				t.Errorf("size %d", h.VirtualSize)
			}
		})
	}
	for _, n := range []int{0, 4, 71, 103, 1 << 16} {
		b := qcow2Bytes(nil)[:n]
		if _, err := ParseQCOW2(bytes.NewReader(b), int64(n), Limits{}); err == nil {
			t.Errorf("cut at %d bytes: accepted", n)
		}
	}
}

func FuzzDetect(f *testing.F) {
	disktest.AddSpoilt(f, 300, qcow2Bytes(nil), qcow2Bytes(func(b []byte) { b[79] = 8; b[104] = 1 })[:256], bytesAt(4096, map[int]string{1024 + 0x38: "\x53\xef"}))
	f.Add([]byte("KDMV"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := Detect(bytes.NewReader(b), int64(len(b)))
		if err == nil && info.Format == QCOW2 && (info.VirtualSize < 0 || info.VirtualSize > DefaultMaxVirtualSize) {
			t.Errorf("accepted a disk of %d bytes", info.VirtualSize)
		}
		if fs, err := ReadExt(bytes.NewReader(b), 0, int64(len(b))); err == nil && fs != nil && fs.Size > int64(len(b)) {
			t.Errorf("accepted a file system of %d bytes in %d", fs.Size, len(b))
		}
	})
}

// TestMarksByChance: an archive that has the two bytes of an ext file system where that has them is
// an archive all the same.
func TestMarksByChance(t *testing.T) {
	for want, begin := range map[Content]func(p []byte){
		Packed:  func(p []byte) { copy(p, "\x1f\x8b") },
		Archive: func(p []byte) { copy(p[257:], "ustar") },
		Ext:     func(p []byte) { copy(p[510:], "\x55\xaa") }, // with a boot loader before it
	} {
		p := make([]byte, 4096)
		copy(p[1024+0x38:], "\x53\xef")
		begin(p)
		if got := Sniff(p).Content; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
