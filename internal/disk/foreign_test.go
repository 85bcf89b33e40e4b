package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

func vdi(change func(b []byte)) []byte {
	b := make([]byte, 4096)
	copy(b[0x40:], "\x7f\x10\xda\xbe")
	binary.LittleEndian.PutUint32(b[0x44:], 0x10001)
	b[0x4c] = 1
	binary.LittleEndian.PutUint64(b[0x170:], 10<<20)
	change(b)
	return b
}

// vhd is an image with its footer, of a type; its checksum is right.
func vhd(kind uint32, virtual uint64, change func(b []byte)) []byte {
	b := make([]byte, 4096)
	f := b[len(b)-512:]
	copy(f, "conectix")
	binary.BigEndian.PutUint64(f[16:], 512)
	binary.BigEndian.PutUint64(f[48:], virtual)
	binary.BigEndian.PutUint32(f[60:], kind)
	sum := uint32(0)
	for _, c := range f {
		sum += uint32(c)
	}
	binary.BigEndian.PutUint32(f[64:], ^sum)
	if kind != 2 {
		copy(b, f)
		copy(b[512:], "cxsparse")
	}
	change(b)
	return b
}

func vmdk(text string, change func(b []byte)) []byte {
	b := make([]byte, 4096)
	copy(b, "KDMV\x01\x00\x00\x00")
	binary.LittleEndian.PutUint64(b[12:], 20<<10)
	binary.LittleEndian.PutUint64(b[28:], 1)
	binary.LittleEndian.PutUint64(b[36:], 4)
	copy(b[512:], text)
	change(b)
	return b
}

const vmdkText = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\n# Extent description\nRW 20480 SPARSE \"x.vmdk\"\n"

func vhdx(change func(b []byte)) []byte {
	b := make([]byte, 512<<10)
	copy(b, "vhdxfile")
	copy(b[192<<10:], "regi")
	b[192<<10+8] = 1
	copy(b[192<<10+16:], vhdxMetadata)
	binary.LittleEndian.PutUint64(b[192<<10+32:], 256<<10)
	t := b[256<<10:]
	copy(t, "metadata")
	t[10] = 2
	copy(t[32:], vhdxParams)
	binary.LittleEndian.PutUint32(t[48:], 64<<10)
	copy(t[64:], vhdxSize)
	binary.LittleEndian.PutUint32(t[80:], 64<<10+8)
	binary.LittleEndian.PutUint64(t[64<<10+8:], 10<<20)
	change(b)
	return b
}

func same([]byte) {}

func TestForeignFormats(t *testing.T) {
	cut := func(b []byte, n int) []byte { return b[:n] }
	replaced := func(old, to string) []byte { return vmdk(strings.Replace(vmdkText, old, to, 1), same) }
	for name, c := range map[string]struct {
		data []byte
		want Format
		says string // "" for a good one, of 10 MiB
	}{
		"vdi":             {vdi(same), VDI, ""},
		"vdi differences": {vdi(func(b []byte) { b[0x4c] = 4 }), VDI, "differences"},
		"vdi parent":      {vdi(func(b []byte) { b[0x1b8] = 1 }), VDI, "differences"},
		"vdi version":     {vdi(func(b []byte) { b[0x46] = 9 }), VDI, "version 9"},
		"vdi tables":      {vdi(func(b []byte) { b[0x157] = 1 }), VDI, "not whole"},
		"vdi cut":         {cut(vdi(same), 300), VDI, "not whole"},
		"vdi size":        {vdi(func(b []byte) { b[0x177] = 0xff }), VDI, "beyond"},
		"vhd dynamic":     {vhd(3, 10<<20, same), VHD, ""},
		"vhd differences": {vhd(4, 10<<20, same), VHD, "differences"},
		"vhd type":        {vhd(9, 10<<20, same), VHD, "type 9"},
		"vhd fixed":       {vhd(2, 10<<20, same), VHD, "fixed"},
		"vhd checksum":    {vhd(3, 10<<20, func(b []byte) { b[len(b)-500]++ }), VHD, "checksum"},
		"vhd header":      {vhd(3, 10<<20, func(b []byte) { b[512] = 0 }), VHD, "missing"},
		"vhd cut":         {cut(vhd(3, 10<<20, same), 2048), VHD, "not whole"},
		"vmdk":            {vmdk(vmdkText, same), VMDK, ""},
		"vmdk stream":     {replaced("monolithicSparse", "streamOptimized"), VMDK, ""},
		"vmdk flat":       {replaced("monolithicSparse", "monolithicFlat"), VMDK, "monolithicFlat"},
		"vmdk extent":     {replaced("SPARSE \"x.vmdk\"", "FLAT \"x.raw\" 0"), VMDK, "another file"},
		"vmdk path":       {replaced("x.vmdk", "/etc/passwd"), VMDK, "another file"},
		"vmdk two":        {vmdk(vmdkText+"RW 1 SPARSE \"y\"\n", same), VMDK, "2 extents"},
		"vmdk parent":     {replaced("ffffffff", "12345678"), VMDK, "differences"},
		"vmdk hint":       {vmdk(vmdkText+"parentFileNameHint=\"/etc/passwd\"\n", same), VMDK, "parent"},
		"vmdk descriptor": {[]byte(vmdkText), VMDK, "names others"},
		"vmdk split":      {vmdk(vmdkText, func(b []byte) { b[28] = 0 }), VMDK, "split"},
		"vmdk cut":        {cut(vmdk(vmdkText, same), 600), VMDK, "not whole"},
		"vhdx":            {vhdx(same), VHDX, ""},
		"vhdx parent":     {vhdx(func(b []byte) { b[320<<10+4] = 2 }), VHDX, "differences"},
		"vhdx regions":    {vhdx(func(b []byte) { b[192<<10] = 0 }), VHDX, "missing"},
		"vhdx cut":        {cut(vhdx(same), 300<<10), VHDX, "not whole"},
		"vhdx no size":    {vhdx(func(b []byte) { b[256<<10+64] = 0 }), VHDX, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := Detect(bytes.NewReader(c.data), int64(len(c.data)))
			if info.Format != c.want {
				t.Fatalf("it is %s: %v", info.Format, err)
			}
			var reason *Error
			switch {
			case c.says == "" && (err != nil || info.VirtualSize != 10<<20):
				t.Errorf("%d bytes, %v", info.VirtualSize, err)
			case c.says != "" && (!errors.As(err, &reason) || !strings.Contains(reason.Reason, c.says)):
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func FuzzForeign(f *testing.F) {
	for _, seed := range [][]byte{vdi(same), vhd(3, 10<<20, same), vmdk(vmdkText, same), vhdx(same)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := Detect(bytes.NewReader(data), int64(len(data)))
		if err == nil && info.VirtualSize < 0 {
			t.Errorf("%s of %d bytes", info.Format, info.VirtualSize)
		}
	})
}
