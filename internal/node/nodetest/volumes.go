package nodetest

import (
	"io"
	"testing"

	"hearth/internal/cloud"
)

const mib = 1 << 20

// volumes takes disks of volumes through their lives.
func volumes(t *testing.T, b Bench) {
	image := b.Images.Add(make([]byte, mib))
	blank, cloned, snap := cloud.VolumeDisk(cloud.NewID()), cloud.VolumeDisk(cloud.NewID()), cloud.SnapshotDisk(cloud.NewID())
	for _, spec := range []cloud.VolumeSpec{
		{ID: blank, SizeBytes: 2 * mib}, {ID: cloned, SizeBytes: 2 * mib, Image: &image},
		{ID: snap, From: blank}, {ID: blank, SizeBytes: 4 * mib},
	} {
		for range 2 { // a call can be repeated
			got, err := b.Node.ApplyVolume(t.Context(), spec)
			must(t, err)
			if got.ID != spec.ID || got.Path == "" || got.SizeBytes < max(spec.SizeBytes, 2*mib) {
				t.Errorf("%+v became %+v", spec, got)
			}
		}
	}
	for id, want := range map[string]int64{blank: 4 * mib, cloned: 2 * mib, snap: 2 * mib} {
		r, err := b.Node.ReadVolume(t.Context(), id)
		must(t, err)
		n, err := io.Copy(io.Discard, r)
		must(t, err)
		must(t, r.Close())
		if n != want {
			t.Errorf("%d bytes of %s, want %d", n, id, want)
		}
	}
	found, err := b.Node.Findings(t.Context())
	must(t, err)
	if len(found) > 0 {
		t.Errorf("volumes are taken for leftovers: %v", found)
	}
	kinds := map[cloud.Kind]cloud.VolumeSpec{
		cloud.NotFound: {ID: cloud.VolumeDisk("x"), From: cloud.VolumeDisk("nothing")}, cloud.Invalid: {ID: cloud.NewID() + "-root", SizeBytes: mib},
	}
	for kind, spec := range kinds {
		if _, err := b.Node.ApplyVolume(t.Context(), spec); !cloud.Is(err, kind) {
			t.Errorf("%+v: %v, want %v", spec, err, kind)
		}
	}
	if _, err := b.Node.ApplyVolume(t.Context(), cloud.VolumeSpec{ID: cloud.VolumeDisk("lost"), SizeBytes: mib, Made: true}); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a volume that was made before and is lost: %v", err)
	}
	if _, err := b.Node.ReadVolume(t.Context(), cloud.VolumeDisk("nothing")); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("reading nothing: %v", err)
	}
	for _, id := range []string{blank, cloned, snap, snap} {
		must(t, b.Node.RemoveVolume(t.Context(), id))
	}
	left, err := b.Node.Volumes(t.Context())
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
}
