package compute_test

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// TestRootToVolume: the volume is counted, nobody else can have it, and nothing else
// is done to the server meanwhile.
func TestRootToVolume(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	b.Run(s.ID)
	ask := func(gb int) (string, error) {
		return b.Compute.RootToVolume(t.Context(), a, s.ID, compute.RootToVolumeRequest{SizeGB: gb})
	}
	if _, err := ask(0); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("of a server that runs: %v", err)
	}
	b.Must(b.Compute.Stop(t.Context(), a, s.ID))
	b.Update(func(tx *store.Tx) error {
		v, err := tx.Servers.Get(s.ID)
		v.Seen.State, v.Seen.Generation = cloud.InstanceStopped, v.Intent.Generation
		v.Flavor.RootGB, v.Intent.Disk.Turn, v.Seen.Turn = 3, 2, 2
		if err != nil {
			return err
		}
		return tx.Servers.Update(v)
	})
	if _, err := ask(2); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("2 GB for a disk of 3: %v", err)
	}
	id, err := ask(0)
	b.Must(err)
	var v cloud.Volume
	b.Update(func(tx *store.Tx) (err error) { v, err = tx.Volumes.Get(id); return err })
	if v.SizeGB != 3 || v.RootDisk != s.ID+"-root.2" || v.Node != "node-1" || !v.Bootable || v.ImageMetadata["image_id"] != computetest.ImageID {
		t.Errorf("the volume is %+v", v)
	}
	at := b.Attachments(s.ID)
	if len(at) != 1 || !at[0].Boot || at[0].Device != "/dev/vda" || !at[0].DeleteOnTermination {
		t.Errorf("attachments %+v", at)
	}
	now := b.Server(s.ID)
	if now.TaskState() != cloud.TaskToVolume || now.VMState() != cloud.VMStopped || now.VolumeBoot {
		t.Errorf("%s, task %q, boots from the volume: %v", now.VMState(), now.TaskState(), now.VolumeBoot)
	}
	for what, err := range map[string]error{
		"start":  b.Compute.Start(t.Context(), a, s.ID),
		"delete": b.Volume.Delete(t.Context(), a.Caller, id, false, false),
	} {
		if err == nil {
			t.Errorf("%s is let through", what)
		}
	}
	if _, err := ask(0); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("twice: %v", err)
	}
}
