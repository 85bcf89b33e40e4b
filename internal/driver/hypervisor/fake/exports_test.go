package fake

import (
	"testing"

	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

func TestExports(t *testing.T) {
	h := NewHost(nil)
	hypervisortest.RunExports(t, hypervisortest.Exports{
		Exporter: func() hypervisor.Exporter { return New(h) },
		InMemory: true,
		Identity: hypervisor.Identity{CA: []byte("ca"), Cert: []byte("cert"), Key: "key"},
		Crash: func(t *testing.T, e hypervisor.Handle) {
			if !h.Crash(e.ID) {
				t.Fatal("there is no export " + e.ID)
			}
		},
	})
}
