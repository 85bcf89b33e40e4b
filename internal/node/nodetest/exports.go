package nodetest

import (
	"net/netip"
	"slices"
	"testing"

	"hearth/internal/cloud"
)

// given gives a volume to other nodes, and takes it back.
func given(t *testing.T, b Bench) {
	v := b.volume(t)
	status, err := b.Node.Status(t.Context())
	must(t, err)
	if !status.Exports {
		t.Error("it does not say that it gives volumes")
	}
	spec := cloud.ExportSpec{Disk: v.Disk, Nodes: []string{"node-2"}}
	first, err := b.Node.ExportVolume(t.Context(), spec)
	must(t, err)
	if first.Disk != v.Disk || !first.Source.Address.IsValid() || first.Source.Export != v.Disk || first.Error != "" || !slices.Equal(first.Nodes, spec.Nodes) {
		t.Errorf("%+v", first)
	}
	again, err := b.Node.ExportVolume(t.Context(), spec)
	must(t, err)
	spec.Nodes, spec.ReadOnly = []string{"node-2", "node-3"}, true
	other, err := b.Node.ExportVolume(t.Context(), spec)
	must(t, err)
	if again.Source != first.Source || other.Source != first.Source || !other.ReadOnly || other.Asked <= again.Asked {
		t.Errorf("%+v, then %+v, then %+v", first, again, other)
	}
	all, err := b.Node.Exports(t.Context())
	if err != nil || len(all) != 1 || all[0].Source != first.Source || !slices.Equal(all[0].Nodes, spec.Nodes) {
		t.Errorf("%+v, %v", all, err)
	}
	facts, err := b.Node.Explain(t.Context(), "volume", v.VolumeID)
	must(t, err)
	if !slices.ContainsFunc(facts, func(f cloud.Fact) bool { return f.Topic == "given to" }) {
		t.Errorf("%+v", facts)
	}
	// It is larger, and copied, while others have it.
	got, err := b.Node.ApplyVolume(t.Context(), cloud.VolumeSpec{ID: v.Disk, SizeBytes: 2 * mib, Made: true})
	if err != nil || got.SizeBytes != 2*mib {
		t.Errorf("%+v, %v", got, err)
	}
	snapshot := cloud.SnapshotDisk(cloud.NewID())
	if got, err = b.Node.ApplyVolume(t.Context(), cloud.VolumeSpec{ID: snapshot, From: v.Disk}); err != nil || got.SizeBytes != 2*mib {
		t.Errorf("%+v, %v", got, err)
	}
	if all, err = b.Node.Exports(t.Context()); err != nil || len(all) != 1 || all[0].Source != first.Source || all[0].Error != "" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := b.Node.WithdrawVolume(t.Context(), v.Disk, again.Asked); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("taken back though asked for since: %v", err)
	}
	for range 2 {
		must(t, b.Node.WithdrawVolume(t.Context(), v.Disk, other.Asked))
	}
	if _, err := b.Node.ExportVolume(t.Context(), cloud.ExportSpec{Disk: cloud.VolumeDisk("nothing"), Nodes: []string{"node-2"}}); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("nothing is given: %v", err)
	}
	for _, disk := range []string{"../escape", cloud.NewID() + "-root"} {
		if _, err := b.Node.ExportVolume(t.Context(), cloud.ExportSpec{Disk: disk, Nodes: []string{"node-2"}}); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s is given: %v", disk, err)
		}
	}
	_, err = b.Node.ExportVolume(t.Context(), spec)
	must(t, err)
	must(t, b.Node.RemoveVolume(t.Context(), snapshot))
	must(t, b.Node.RemoveVolume(t.Context(), v.Disk)) // and with it goes what gives it
	all, err = b.Node.Exports(t.Context())
	found, ferr := b.Node.Findings(t.Context())
	if err != nil || ferr != nil || len(all)+len(found) > 0 {
		t.Errorf("left: %+v, %v; %v, %v", all, err, found, ferr)
	}
}

// remoteVolume gives a guest a volume that another node keeps.
func remoteVolume(t *testing.T, b Bench) {
	spec := b.start(t)
	volume := cloud.InstanceVolume{AttachmentID: cloud.NewID(), VolumeID: cloud.NewID(), Device: "/dev/vdb", SizeGB: 1}
	volume.Disk = cloud.VolumeDisk(volume.VolumeID)
	volume.Source = cloud.VolumeSource{Node: "node-2", Address: netip.MustParseAddrPort("127.0.0.1:10809"), Export: volume.Disk}
	apply := func(volumes ...cloud.InstanceVolume) cloud.InstanceStatus {
		t.Helper()
		spec.Intent.Generation++
		spec.Volumes = volumes
		must(t, b.Node.ApplyInstance(t.Context(), spec))
		return b.await(t, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	}
	for _, gb := range []int{1, 2} {
		volume.SizeGB = gb
		if st := apply(volume); !slices.Equal(st.Volumes, []string{volume.VolumeID}) || len(st.Refused) > 0 {
			t.Errorf("attached with %d GB: %+v", gb, st.Observation)
		}
	}
	facts, err := b.Node.Explain(t.Context(), "server", spec.ID)
	must(t, err)
	if !slices.ContainsFunc(facts, func(f cloud.Fact) bool { return f.Topic == "volume "+volume.VolumeID }) {
		t.Errorf("%+v", facts)
	}
	if st := apply(); len(st.Volumes)+len(st.Refused) > 0 {
		t.Errorf("detached: %+v", st.Observation)
	}
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
	b.gone(t, spec.ID)
}
