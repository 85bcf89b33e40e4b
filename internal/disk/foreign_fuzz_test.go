package disk

import (
	"bytes"
	"testing"

	"hearth/internal/disk/disktest"
)

// The parsers of other hypervisors' formats, each by itself: Detect gives them only
// what has their mark. What they accept is a disk within bounds.
func fuzzFormat(f *testing.F, format Format, seed []byte) {
	disktest.AddSpoilt(f, 500, seed)
	for _, c := range disktest.Hostile() {
		if c.Format == string(format) {
			f.Add(c.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		virtual, err := checkForeign(format, bytes.NewReader(data), int64(len(data)))
		if err == nil && (virtual < 0 || virtual > DefaultMaxVirtualSize) {
			t.Errorf("a %s of %d bytes", format, virtual)
		}
	})
}

func FuzzVMDK(f *testing.F) { fuzzFormat(f, VMDK, vmdk(vmdkText, same)) }

func FuzzVDI(f *testing.F) { fuzzFormat(f, VDI, vdi(same)) }

func FuzzVHD(f *testing.F) { fuzzFormat(f, VHD, vhd(3, 10<<20, same)) }

func FuzzVHDX(f *testing.F) { fuzzFormat(f, VHDX, vhdx(same)) }

// FuzzVMDKText reads descriptors: one that is accepted names no other file.
func FuzzVMDKText(f *testing.F) {
	disktest.AddSpoilt(f, 500, []byte(vmdkText))
	f.Add([]byte("RW 1 SPARSE \"/etc/passwd\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		if checkVMDKText(text) != nil {
			return
		}
		for line := range bytes.Lines(text) {
			if extent(string(bytes.TrimSpace(line))) && bytes.ContainsAny(line, `/\`) {
				t.Errorf("accepted: %q", line)
			}
		}
	})
}
