package nodetest

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
)

// volume makes a volume and gives what a spec says of it.
func (b Bench) volume(t *testing.T) cloud.InstanceVolume {
	t.Helper()
	id := cloud.NewID()
	_, err := b.Node.ApplyVolume(t.Context(), cloud.VolumeSpec{ID: cloud.VolumeDisk(id), SizeBytes: mib})
	must(t, err)
	return cloud.InstanceVolume{AttachmentID: cloud.NewID(), VolumeID: id, Disk: cloud.VolumeDisk(id), Device: "/dev/vdb"}
}

// comeAndGo gives a running guest a volume and a NIC and takes them again, and has
// the volume resized and copied meanwhile.
func comeAndGo(t *testing.T, b Bench) {
	spec, other := b.start(t), b.Spec()
	volume := b.volume(t)
	apply := func(change func()) cloud.InstanceStatus {
		t.Helper()
		spec.Intent.Generation++
		change()
		must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(spec.Intent.Generation, spec)))
		must(t, b.Node.ApplyInstance(t.Context(), spec))
		return b.await(t, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	}
	first, second := spec.Ports[0], other.Ports[0]
	st := apply(func() { spec.Volumes, spec.Ports = []cloud.InstanceVolume{volume}, []cloud.InstancePort{first, second} })
	if !slices.Equal(st.Volumes, []string{volume.VolumeID}) || !slices.Equal(st.Ports, []string{first.ID, second.ID}) {
		t.Errorf("attached: %+v", st.Observation)
	}
	got, err := b.Node.ApplyVolume(t.Context(), cloud.VolumeSpec{ID: volume.Disk, SizeBytes: 2 * mib, Made: true})
	if err != nil || got.SizeBytes != 2*mib {
		t.Errorf("extended while attached: %+v, %v", got, err)
	}
	snapshot := cloud.SnapshotDisk(cloud.NewID())
	if got, err = b.Node.ApplyVolume(t.Context(), cloud.VolumeSpec{ID: snapshot, From: volume.Disk}); err != nil || got.SizeBytes != 2*mib {
		t.Errorf("copied while attached: %+v, %v", got, err)
	}
	st = apply(func() {
		spec.Volumes = append(spec.Volumes, cloud.InstanceVolume{VolumeID: "lost", Disk: cloud.VolumeDisk("lost")})
	})
	if !slices.Equal(st.Volumes, []string{volume.VolumeID}) || st.Refused["lost"] == "" {
		t.Errorf("a volume that is not here: %+v", st.Observation)
	}
	st = apply(func() { spec.Volumes, spec.Ports = nil, []cloud.InstancePort{second} })
	if len(st.Volumes) > 0 || !slices.Equal(st.Ports, []string{second.ID}) || len(st.Refused) > 0 {
		t.Errorf("detached: %+v", st.Observation)
	}
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
	b.gone(t, spec.ID)
	for _, disk := range []string{volume.Disk, snapshot} { // which outlive the instance
		r, err := b.Node.ReadVolume(t.Context(), disk)
		must(t, err)
		must(t, r.Close())
		must(t, b.Node.RemoveVolume(t.Context(), disk))
	}
	found, err := b.Node.Findings(t.Context())
	must(t, err)
	if len(found) > 0 {
		t.Errorf("left: %v", found)
	}
}

// bootVolume starts a guest that has no root disk of its own.
func bootVolume(t *testing.T, b Bench) {
	spec := b.Spec()
	image := spec.Image
	boot := b.volume(t)
	boot.Boot = true
	spec.Image, spec.Volumes = cloud.ImageRef{}, []cloud.InstanceVolume{boot}
	must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(1, spec)))
	must(t, b.Node.ApplyInstance(t.Context(), spec))
	if st := b.await(t, spec.ID, cloud.InstanceRunning, 1); !slices.Equal(st.Volumes, []string{boot.VolumeID}) {
		t.Errorf("%+v", st.Observation)
	}
	if n := b.Images.Opened(); n > 0 {
		t.Errorf("the image %s was fetched, which nobody asked for", image.ID)
	}
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
	b.gone(t, spec.ID)
	must(t, b.Node.RemoveVolume(t.Context(), boot.Disk))
}
