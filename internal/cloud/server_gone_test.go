package cloud

import (
	"testing"
	"time"
)

// TestGone: whatever was under way when a server went, its record is at rest, and has
// nothing that could be run again or is secret.
func TestGone(t *testing.T) {
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	launched := at.Add(-time.Hour)
	s := Server{
		ID: "a", Name: "web", Node: "node-1", UserData: []byte("secret"), Posted: "secret", Files: []GuestFile{{}},
		Key: &Keypair{Name: "me", PublicKey: "ssh-ed25519 AAAA"}, Fault: &Fault{Message: "no"}, Marked: true, Trash: &Trash{Since: launched, Until: at},
		Intent: Intent{Generation: 3, Power: PowerOn, Deleted: true, Reboots: 2}, Seen: Observation{State: InstanceRunning},
		LaunchedAt: &launched, CreatedAt: launched, UpdatedAt: launched,
	}
	g := s.Gone(at)
	if g.Status() != "DELETED" || g.VMState() != "deleted" || g.TaskState() != "" || g.PowerState() != PowerNoState || !g.Settled() {
		t.Errorf("%s %s %q %d", g.Status(), g.VMState(), g.TaskState(), g.PowerState())
	}
	if g.UserData != nil || g.Posted != "" || g.Files != nil || g.Key.PublicKey != "" || g.KeyName() != "me" {
		t.Errorf("too much stays, or too little: %+v", g)
	}
	if !g.DeletedAt.Equal(at) || !g.UpdatedAt.Equal(at) || !g.CreatedAt.Equal(launched) || g.Node != "node-1" || g.Fault == nil {
		t.Errorf("%+v", g)
	}
}
