package volume

import (
	"context"
	"errors"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
)

// diary notes who makes a disk larger, in what order.
type diary struct {
	storage.Driver
	noGuests
	format string
	said   []string
	die    bool // between the two
}

func (d *diary) Disk(ctx context.Context, id string) (storage.Disk, error) {
	disk, err := d.Driver.Disk(ctx, id)
	disk.Format = d.format
	return disk, err
}

func (d *diary) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	d.said = append(d.said, "host")
	disk, err := d.Driver.GrowDisk(ctx, id, size)
	disk.Format = d.format
	return disk, err
}

func (d *diary) GrowVolume(context.Context, string, int64) (bool, error) {
	if d.die {
		return false, errors.New("the agent died")
	}
	d.said = append(d.said, "guest")
	return true, nil
}

// TestGrow: a device is made larger before the guest is told of it, and told also when
// the agent died in between; what has a header of its own, by the guest first.
func TestGrow(t *testing.T) {
	for format, want := range map[string][]string{"raw": {"host", "guest"}, "qcow2": {"guest", "host"}} {
		d := &diary{Driver: fake.New(), format: format}
		m := New(d, nil, func() Guests { return d })
		spec := cloud.VolumeSpec{ID: cloud.VolumeDisk("v"), SizeBytes: 1 << 20}
		if _, err := m.Apply(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		spec.SizeBytes, d.said = 2<<20, nil
		if format == "raw" {
			d.die = true
			if _, err := m.Apply(t.Context(), spec); err == nil {
				t.Error("nobody noticed")
			}
			d.die = false
		}
		st, err := m.Apply(t.Context(), spec)
		if err != nil || st.SizeBytes != 2<<20 || !slices.Equal(d.said, want) {
			t.Errorf("%s: %v, %+v, %v", format, d.said, st, err)
		}
	}
}
