package compute_test

import (
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
)

// TestTrash: a deleted server is kept, hidden, free of quota, and comes back whole.
func TestTrash(t *testing.T) {
	b := computetest.New(t)
	kept := compute.New(b.Store, b.Clock, b.Network, b, compute.Options{Volumes: b.Volume, Reclaim: time.Hour})
	a := computetest.Member()
	fresh, old := b.Create(a, computetest.Request()), b.Create(a, computetest.Request())
	b.Run(old.ID)
	b.Must(kept.DeleteServer(t.Context(), a, fresh.ID))
	b.Must(kept.DeleteServer(t.Context(), a, old.ID))
	if s := b.Server(fresh.ID); !s.Intent.Deleted || s.Trash != nil {
		t.Errorf("a server that never ran is kept: %+v", s.Trash)
	}
	s := b.Server(old.ID)
	if s.Intent.Deleted || s.Intent.Power != cloud.PowerOff || s.Status() != "SOFT_DELETED" || s.VMState() != "soft-delete" || s.TaskState() != "soft-deleting" {
		t.Fatalf("%s %s %q, intent %+v", s.Status(), s.VMState(), s.TaskState(), s.Intent)
	}
	if !s.Trash.Until.Equal(b.Clock.Now().Add(time.Hour)) {
		t.Errorf("kept until %s", s.Trash.Until)
	}
	for mode, want := range map[compute.Kinds]int{0: 1, compute.KindLive: 1, compute.KindLive | compute.KindTrash: 2, compute.KindTrash: 1, compute.KindGone: 0, compute.KindAll: 2} {
		p, err := kept.Servers(t.Context(), a.Caller, compute.Filter{Kinds: mode}, false)
		if b.Must(err); len(p.Servers) != want {
			t.Errorf("mode %d lists %d servers, want %d", mode, len(p.Servers), want)
		}
	}
	_, used, err := kept.Quota(t.Context(), a.Caller, computetest.Project, "")
	if b.Must(err); used.Instances != 1 {
		t.Errorf("%d instances count, want the one that is deleted and not gone yet", used.Instances)
	}
	if err := kept.Stop(t.Context(), a, old.ID); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("a server in the trash is stopped: %v", err)
	}
	b.Clock.Advance(time.Minute)
	b.Must(kept.DeleteServer(t.Context(), a, old.ID)) // again: it stays for no longer
	if got := b.Server(old.ID); got.Trash == nil || !got.Trash.Until.Equal(s.Trash.Until) || got.Intent.Deleted {
		t.Errorf("after a second delete: %+v", got.Trash)
	}
	_, err = b.Compute.SetQuota(t.Context(), computetest.Project, "", map[string]int{"instances": 1}, true)
	b.Must(err)
	if err := kept.Restore(t.Context(), a, old.ID); !cloud.Is(err, cloud.QuotaExceeded) {
		t.Errorf("restored beyond the quota: %v", err)
	}
	b.Must(b.Compute.DeleteQuota(t.Context(), computetest.Project, ""))
	b.Must(kept.Restore(t.Context(), a, old.ID))
	if s := b.Server(old.ID); s.Trash != nil || s.Intent.Power != cloud.PowerOn || s.Intent.Deleted {
		t.Errorf("restored: %+v, %+v", s.Trash, s.Intent)
	}
	if err := kept.Restore(t.Context(), a, old.ID); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("restored twice: %v", err)
	}
	b.Must(kept.DeleteServer(t.Context(), a, old.ID))
	b.Must(kept.ForceDelete(t.Context(), a, old.ID))
	if s := b.Server(old.ID); !s.Intent.Deleted || s.TaskState() != cloud.TaskDeleting {
		t.Errorf("forceDelete leaves it: %+v", s.Intent)
	}
}

// TestTrashOfShelf: what was shelved is so again when it is restored.
func TestTrashOfShelf(t *testing.T) {
	b := computetest.New(t)
	kept := compute.New(b.Store, b.Clock, b.Network, b, compute.Options{Volumes: b.Volume, Reclaim: time.Hour})
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	b.Run(s.ID)
	b.Must(kept.Shelve(t.Context(), a, s.ID))
	b.Must(kept.DeleteServer(t.Context(), a, s.ID))
	b.Must(kept.Restore(t.Context(), a, s.ID))
	if s := b.Server(s.ID); !s.Intent.Shelved || s.Shelf == nil || s.Intent.Power != cloud.PowerOff {
		t.Errorf("%+v", s.Intent)
	}
}

// TestProtected: nobody deletes or rebuilds a protected server, not even an admin.
func TestProtected(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Admin()
	s := b.Create(a, computetest.Request())
	b.Run(s.ID)
	_, err := b.Compute.SetMetadata(t.Context(), a, s.ID, map[string]string{compute.Protected: "true"}, false)
	b.Must(err)
	_, rebuild := b.Compute.Rebuild(t.Context(), a, s.ID, compute.RebuildRequest{ImageID: computetest.ImageID})
	for what, err := range map[string]error{
		"delete": b.Compute.DeleteServer(t.Context(), a, s.ID), "forceDelete": b.Compute.ForceDelete(t.Context(), a, s.ID), "rebuild": rebuild,
	} {
		if !cloud.Is(err, cloud.Conflict) {
			t.Errorf("%s of a protected server: %v", what, err)
		}
	}
	b.Must(b.Compute.Stop(t.Context(), a, s.ID))
	_, err = b.Compute.SetMetadata(t.Context(), a, s.ID, map[string]string{compute.Protected: "false"}, false)
	b.Must(err)
	b.Must(b.Compute.DeleteServer(t.Context(), a, s.ID))
}
