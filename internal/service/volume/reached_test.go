package volume

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// A server has a volume of another host when both hosts give volumes to others, and the
// volume is no other server's.
func TestVolumeOfAnotherHost(t *testing.T) {
	b, ctx, p := newBench(t), t.Context(), cloud.Caller{UserID: "u", ProjectID: "p", Roles: []string{cloud.RoleMember}}
	d := b.ready(Wanted{SizeGB: 1})
	host := func(name string, exports bool) {
		b.must(b.store.Update(ctx, func(tx *store.Tx) error {
			h, err := tx.Hosts.Get(name)
			if err != nil {
				h = cloud.Host{Name: name, ID: cloud.NewID(), CreatedAt: b.clock.Now(), SeenAt: b.clock.Now()}
			}
			h.Seen.Exports = exports
			return tx.Hosts.Put(h)
		}))
	}
	plug := func(plug Plug) error {
		plug.VolumeID, plug.ServerID, plug.Node, plug.Device = d.ID, "server", "node-9", "/dev/vdb"
		return b.store.Update(ctx, func(tx *store.Tx) error {
			_, err := b.PlugTx(tx, p, plug)
			return err
		})
	}
	b.want(plug(Plug{}), cloud.Invalid) // a host that nobody knows
	host(d.Node, true)
	host("node-9", false)
	b.want(plug(Plug{}), cloud.Invalid)
	host("node-9", true)
	b.want(plug(Plug{Swaps: &cloud.VolumeAttachment{}}), cloud.Invalid)
	b.must(plug(Plug{}))
}
