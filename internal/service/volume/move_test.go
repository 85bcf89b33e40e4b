package volume

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// twoPools is a bench whose node has two pools, and one that is broken, with a type
// for each.
func twoPools(t *testing.T) *bench {
	b := newBench(t)
	b.must(b.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Hosts.Insert(cloud.Host{Name: "node-1", ID: cloud.NewID(), AvailabilityZone: "nova", SeenAt: b.clock.Now(), Seen: cloud.HostStatus{Pools: []cloud.PoolStatus{
			{Name: "file", Protocol: "file", Thin: true, TotalGB: 100, FreeGB: 50}, {Name: "fast", Protocol: "lvm", TotalGB: 100, FreeGB: 90},
			{Name: "share", Protocol: "nfs", Fault: "nothing is mounted"},
		}}})
	}))
	for _, name := range []string{"file", "fast", "share"} {
		_, err := b.CreateType(t.Context(), cloud.VolumeType{Name: name, Public: true, ExtraSpecs: map[string]string{"volume_backend_name": name}})
		b.must(err)
	}
	return b
}

func TestRetypeToAnotherPool(t *testing.T) {
	b := twoPools(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{SizeGB: 1, Type: "file"})
	b.want(b.Retype(ctx, p, d.ID, "fast", false), cloud.Invalid)
	b.want(b.Retype(ctx, p, d.ID, "share", true), cloud.Invalid)
	b.must(b.Retype(ctx, p, d.ID, "fast", true))
	b.status(d.ID, cloud.VolumeRetyping)
	d, err := b.Get(ctx, admin, d.ID)
	b.must(err)
	if d.Move == nil || d.Move.Pool != "fast" || d.TypeName != "file" || d.MigrationStatus != "migrating" {
		t.Errorf("%+v, %s: the type changes when the volume is there", d.Move, d.TypeName)
	}
	b.want(b.Extend(ctx, p, d.ID, 2, false), cloud.Invalid)
	other := b.ready(Wanted{SizeGB: 1, Type: "file"})
	_, err = b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: other.ID})
	b.must(err)
	b.want(b.Retype(ctx, p, other.ID, "fast", true), cloud.Invalid)
}

func TestMigrateToAnotherPool(t *testing.T) {
	b := twoPools(t)
	ctx := t.Context()
	d := b.ready(Wanted{SizeGB: 1})
	for host, kind := range map[string]cloud.Kind{
		"node-1@file#file": cloud.Invalid, "node-1": cloud.Invalid, "node-1@gone#gone": cloud.Invalid, "node-1@share#share": cloud.Invalid, "mars@file#file": cloud.Invalid,
	} {
		if err := b.Migrate(ctx, admin, d.ID, host); !cloud.Is(err, kind) {
			t.Errorf("%s: %v", host, err)
		}
	}
	b.must(b.Migrate(ctx, admin, d.ID, "node-1@fast#fast"))
	b.status(d.ID, cloud.VolumeMaintenance)
	b.must(b.ResetStatus(ctx, admin, d.ID, "available", ""))
	d, err := b.Get(ctx, admin, d.ID)
	b.must(err)
	if d.Move != nil || d.Stale != "fast" || d.Status != "available" {
		t.Errorf("what an operator ends: %+v", d.Volume)
	}
	bound := b.ready(Wanted{SizeGB: 1, Type: "file"})
	b.want(b.Migrate(ctx, admin, bound.ID, "node-1@fast#fast"), cloud.Invalid)
}

func TestACopyMayBeInAnotherPool(t *testing.T) {
	b := twoPools(t)
	from := b.ready(Wanted{SizeGB: 1, Type: "file"})
	for kind, pool := range map[string]string{"": "file", "fast": "fast"} {
		d, err := b.Create(t.Context(), member("p"), Wanted{SourceID: from.ID, Type: kind})
		b.must(err)
		if d.Pool != pool || d.Node != "node-1" {
			t.Errorf("%q: %s on %s", kind, d.Pool, d.Node)
		}
	}
	_, err := b.Create(t.Context(), member("p"), Wanted{SourceID: from.ID, Type: "share"})
	b.want(err, cloud.Invalid)
}

func TestPoolsAreSwitchedOffByThemselves(t *testing.T) {
	b := twoPools(t)
	ctx := t.Context()
	b.must(b.EnableHost(ctx, "node-1@fast", false, "full of mice"))
	b.want(b.EnableHost(ctx, "node-1@gone", false, ""), cloud.NotFound)
	list, err := b.Hosts(ctx, true)
	b.must(err)
	if off, why := list[0].PoolDisabled("fast"); !off || why != "full of mice" {
		t.Errorf("%v, %q", off, why)
	}
	if off, _ := list[0].PoolDisabled("file"); off {
		t.Error("another pool is switched off")
	}
	b.must(b.EnableHost(ctx, "node-1", false, ""))
	b.must(b.EnableHost(ctx, "node-1@fast#fast", true, ""))
	list, err = b.Hosts(ctx, true)
	b.must(err)
	off, _ := list[0].PoolDisabled("file")
	if fast, _ := list[0].PoolDisabled("fast"); !off || fast {
		t.Errorf("file %v, fast %v", off, fast)
	}
}
