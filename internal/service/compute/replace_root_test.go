package compute_test

import (
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// TestReplaceRoot: of a server that is off and was not used since, and nothing else is
// done to it meanwhile; its image stays its own.
func TestReplaceRoot(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	b.Run(s.ID)
	as := func(request string) compute.Actor {
		b.Clock.Advance(time.Second)
		who := a
		who.RequestID = request
		return who
	}
	ask := func(image, after string) error {
		return b.Compute.ReplaceRoot(t.Context(), as("req-ask"), s.ID, compute.ReplaceRootRequest{ImageID: image, After: after})
	}
	if err := ask(computetest.ImageID, ""); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("of a server that runs: %v", err)
	}
	b.Must(b.Compute.Stop(t.Context(), as("req-stop"), s.ID))
	b.Update(func(tx *store.Tx) error {
		v, err := tx.Servers.Get(s.ID)
		b.Must(err)
		v.Seen.State, v.Seen.Generation = cloud.InstanceStopped, v.Intent.Generation
		return tx.Servers.Update(v)
	})
	if err := ask("nope", ""); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("of no image: %v", err)
	}
	b.Must(b.Compute.Lock(t.Context(), as("req-lock"), s.ID, "mounted"))
	if err := ask(computetest.ImageID, "req-stop"); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "locked") {
		t.Errorf("of a locked one: %v", err)
	}
	b.Must(b.Compute.Unlock(t.Context(), as("req-unlock"), s.ID))
	if err := ask(computetest.ImageID, "req-create"); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "'stop'") {
		t.Errorf("of one that was used since: %v", err)
	}
	b.Must(ask(computetest.ImageID, "req-stop"))
	now := b.Server(s.ID)
	if now.TaskState() != cloud.TaskReplaceRoot || now.RootImage == nil || now.RootImage.ID != computetest.ImageID || now.Intent.Disk != (cloud.DiskIntent{Turn: 1, Kept: 0, Last: 1, Why: cloud.DiskReplace}) {
		t.Errorf("task %q, %+v, %+v", now.TaskState(), now.RootImage, now.Intent.Disk)
	}
	if err := b.Compute.Start(t.Context(), as("req-start"), s.ID); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("started meanwhile: %v", err)
	}
}
