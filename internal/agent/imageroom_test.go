package agent

import (
	"testing"

	"hearth/internal/cloud"
)

func TestNeedsOfImages(t *testing.T) {
	for _, c := range []struct {
		format, path  string
		size, virtual int64
		want          int64
	}{
		{"raw", "", 100, 100, 100},
		{"raw", "/here", 100, 100, 100},
		{"qcow2", "/here", 30, 100, 100},
		{"qcow2", "", 30, 100, 130}, // the source lies beside what is made of it
		{"qcow2", "/here", 30, -1, 30},
		{"ova", "/here", 30, 100, 130}, // the disk in it is taken out
		{"ova", "", 30, 100, 160},
	} {
		if got := needs(cloud.ImageRef{Format: c.format, Size: c.size, VirtualSize: c.virtual}, c.path); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
