package main

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "512M": 512 << 20, "10g": 10 << 30, "2GiB": 2 << 30, "3KB": 3 << 10, "1T": 1 << 40, "1.5G": 3 << 29,
		"": 0, "G": 0, "-1G": 0, "1GG": 0, "9999999T": 0, "x": 0, "0": 0, "nan": 0, "inf": 0, "1e3": 0, "0x10": 0, "1.2.3": 0} {
		got, err := parseSize(text, 1)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	size := inGiB(0)
	for text, want := range map[string]int64{"3": 3 << 30, "0.5": 1 << 29, "512M": 512 << 20} {
		if err := size.Set(text); err != nil || size.bytes != want {
			t.Errorf("%q: %d, %v", text, size.bytes, err)
		}
	}
}

// TestConversionAim holds what is made against what the command line says of it.
func TestConversionAim(t *testing.T) {
	for _, c := range []struct{ out, to, want string }{{"", "", "qcow2"}, {"a.vmdk", "", "vmdk"}, {"a.vmdk", "raw", "raw"}, {"dir.tar/a.tar.gz", "", "tar.gz"}, {"disk", "", "qcow2"}} {
		got := conversion{out: c.out, to: c.to}
		if err := got.aim(); err != nil || got.to != c.want {
			t.Errorf("%+v: %q, %v", c, got.to, err)
		}
	}
	for _, c := range []conversion{{to: "nonsense"}, {to: "ami", compress: "zstd"}, {out: "a.ova", compress: "zlib"}} {
		if err := c.aim(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
