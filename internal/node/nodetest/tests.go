package nodetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
)

func status(t *testing.T, b Bench) {
	st, err := b.Node.Status(t.Context())
	must(t, err)
	if st.VCPUs < 1 || st.MemoryMB < 1 || st.DiskGB < 1 || st.BootID == "" || st.Accel == "" || st.HypervisorVersion < 1000000 {
		t.Errorf("%+v", st)
	}
}

func life(t *testing.T, b Bench) {
	spec := b.start(t)
	text, err := b.Node.Console(t.Context(), spec.ID, 0)
	must(t, err)
	if !bytes.Contains(text, []byte("login:")) {
		t.Errorf("console: %q", text)
	}
	if last, err := b.Node.Console(t.Context(), spec.ID, 5); err != nil || !bytes.HasSuffix(text, last) || len(last) != 5 {
		t.Errorf("the last 5 bytes: %q, %v", last, err)
	}
	if password, err := b.Node.Password(t.Context(), spec.ID); err != nil || password != "" {
		t.Errorf("a password that no guest posted: %q, %v", password, err)
	}
	must(t, b.Node.ForgetPassword(t.Context(), spec.ID))
	if _, err := b.Node.Password(t.Context(), cloud.NewID()); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("password of an instance that is not there: %v", err)
	}
	step := func(state cloud.InstanceState, change func(*cloud.Intent)) cloud.InstanceStatus {
		t.Helper()
		spec.Intent.Generation++
		change(&spec.Intent)
		must(t, b.Node.ApplyInstance(t.Context(), spec))
		return b.await(t, spec.ID, state, spec.Intent.Generation)
	}
	step(cloud.InstanceStopped, func(in *cloud.Intent) { in.Power = cloud.PowerOff })
	if st := step(cloud.InstanceRunning, func(in *cloud.Intent) { in.Power = cloud.PowerOn }); len(st.Steps) == 0 {
		t.Error("no timeline")
	}
	if st := step(cloud.InstanceRunning, func(in *cloud.Intent) { in.Reboots++ }); st.Reboots != 1 {
		t.Errorf("%d reboots", st.Reboots)
	}
	if st := step(cloud.InstanceRunning, func(in *cloud.Intent) { in.Reboots, in.HardReboot = 2, true }); st.Reboots != 2 {
		t.Errorf("%d reboots", st.Reboots)
	}
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
	b.gone(t, spec.ID)
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
}

// cached is IMG-06: what a node has fetched once it does not fetch again.
func cached(t *testing.T, b Bench) {
	one := b.start(t)
	two := b.Spec()
	must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(2, one, two)))
	must(t, b.Node.ApplyInstance(t.Context(), two))
	b.await(t, two.ID, cloud.InstanceRunning, 1)
	if n := b.Images.Opened(); n != 1 {
		t.Errorf("the image was fetched %d times", n)
	}
}

// precached fetches an image ahead, sees it in the node's report, and drops it; one that
// an instance is made of stays.
func precached(t *testing.T, b Bench) {
	ahead := b.Images.Add([]byte("an image for later"))
	must(t, b.Node.CacheImage(t.Context(), ahead))
	find := func(digest string) *cloud.CachedImage {
		st, err := b.Node.Status(t.Context())
		must(t, err)
		for _, img := range st.Images {
			if img.Digest == digest {
				return &img
			}
		}
		return nil
	}
	if got := find(ahead.Digest); got == nil || got.Hits != 0 || got.Bytes == 0 {
		t.Errorf("it is told as %+v", got)
	}
	must(t, b.Node.DropImage(t.Context(), ahead.Digest))
	must(t, b.Node.DropImage(t.Context(), ahead.Digest))
	if got := find(ahead.Digest); got != nil {
		t.Errorf("dropped, it is told as %+v", got)
	}
	spec := b.start(t)
	if got := find(spec.Image.Digest); got == nil || got.Hits != 1 || got.UsedAt.IsZero() {
		t.Errorf("used by an instance, it is told as %+v", got)
	}
	if err := b.Node.DropImage(t.Context(), spec.Image.Digest); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("dropped under an instance: %v", err)
	}
}

func ownDoing(t *testing.T, b Bench) {
	quiet, loud := b.start(t), b.Spec()
	must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(2, quiet, loud)))
	must(t, b.Node.ApplyInstance(t.Context(), loud))
	b.await(t, loud.ID, cloud.InstanceRunning, 1)
	b.Guests.PowerOff(quiet.ID)
	if st := b.await(t, quiet.ID, cloud.InstanceStopped, 1); st.Error != "" {
		t.Errorf("a poweroff is told as an error: %s", st.Error)
	}
	b.Guests.Crash(loud.ID)
	if st := b.await(t, loud.ID, cloud.InstanceStopped, 1); st.Error == "" {
		t.Error("a crash is told without a reason")
	}
}

func failure(t *testing.T, b Bench) {
	spec := b.Spec()
	spec.Image.Digest = "sha512:" + strings.Repeat("0", 128)
	must(t, b.Node.ApplyInstance(t.Context(), spec))
	st := b.await(t, spec.ID, cloud.InstanceFailed, 1)
	if !strings.Contains(st.Error, "no longer in the image store") {
		t.Errorf("error: %q", st.Error)
	}
}

func kinds(t *testing.T, b Bench) {
	spec := b.start(t)
	old := spec
	spec.Intent.Generation = 7
	must(t, b.Node.ApplyInstance(t.Context(), spec))
	err := b.Node.ApplyInstance(t.Context(), old)
	if !cloud.Is(err, cloud.Conflict) || !strings.Contains(cloud.Message(err), "generation") {
		t.Errorf("an older spec: %v (%v)", err, cloud.KindOf(err))
	}
	spec.ID = "../../etc"
	if err := b.Node.ApplyInstance(t.Context(), spec); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a bad id: %v", err)
	}
	if _, err := b.Node.Console(t.Context(), cloud.NewID(), 0); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("the console of nobody: %v", err)
	}
	if _, err := b.Node.Explain(t.Context(), "server", cloud.NewID()); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("the parts of nothing: %v", err)
	}
}

func present(t *testing.T, b Bench) {
	spec := b.start(t)
	var first cloud.InstanceStatus
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = b.Node.Watch(ctx, func(st cloud.InstanceStatus) {
		if first.ID == "" {
			first = st
		}
		cancel()
	})
	if first.ID != spec.ID || first.State != cloud.InstanceRunning {
		t.Errorf("%+v", first)
	}
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
	var seen []cloud.InstanceState
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { // the end is told, unless the watch began after it
		b.gone(t, spec.ID)
		cancel()
	}()
	_ = b.Node.Watch(ctx, func(st cloud.InstanceStatus) { seen = append(seen, st.State) })
	for _, s := range seen {
		if s != cloud.InstanceRemoving && s != cloud.InstanceAbsent {
			t.Errorf("seen of an instance that goes: %q", seen)
		}
	}
}

func watchEnds(t *testing.T, b Bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	go func() { done <- b.Node.Watch(ctx, func(cloud.InstanceStatus) {}) }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a watch that was cut off ended without an error")
		}
	case <-time.After(10 * time.Second):
		t.Error("the watch goes on")
	}
}

func networks(t *testing.T, b Bench) {
	spec := b.start(t)
	st, err := b.Node.Networks(t.Context())
	must(t, err)
	if st.Networks[networkID] != 1 || !st.Ports[spec.Ports[0].ID] {
		t.Errorf("%+v", st)
	}
	must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(2, spec)))
	router := cloud.RouterSpec{ID: cloud.NewID(), Generation: 5, AdminUp: true, Interfaces: []cloud.RouterPort{{PortID: cloud.NewID(), NetworkID: networkID, MAC: "fa:16:3e:00:00:09"}}}
	must(t, b.Node.ApplyRouter(t.Context(), router))
	st, err = b.Node.Networks(t.Context())
	must(t, err)
	if st.Networks[networkID] != 2 || st.Routers[router.ID] != 5 {
		t.Errorf("%+v", st)
	}
	for range 2 {
		must(t, b.Node.RemoveRouter(t.Context(), router.ID))
	}
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
	b.gone(t, spec.ID)
	for range 2 {
		must(t, b.Node.RemoveNetwork(t.Context(), networkID))
	}
	st, err = b.Node.Networks(t.Context())
	must(t, err)
	if len(st.Networks)+len(st.Routers) > 0 {
		t.Errorf("%+v", st)
	}
}

// large is a spec with the most user data that nova takes, and then some.
func large(t *testing.T, b Bench) {
	spec := b.Spec()
	spec.Meta.UserData = bytes.Repeat([]byte{0, 1, 2, 0xff}, 64<<10)
	must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(1, spec)))
	must(t, b.Node.ApplyInstance(t.Context(), spec))
	b.await(t, spec.ID, cloud.InstanceRunning, 1)
}

func many(t *testing.T, b Bench) {
	var specs []cloud.InstanceSpec
	for range 20 {
		specs = append(specs, b.Spec())
	}
	must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(1, specs...)))
	errs := make(chan error, len(specs))
	for _, s := range specs {
		go func() { errs <- b.Node.ApplyInstance(t.Context(), s) }()
	}
	for range specs {
		must(t, <-errs)
	}
	for _, s := range specs {
		b.await(t, s.ID, cloud.InstanceRunning, 1)
	}
	all, err := b.Node.Instances(t.Context())
	must(t, err)
	if len(all) != len(specs) || !slices.IsSortedFunc(all, func(x, y cloud.InstanceStatus) int { return strings.Compare(x.ID, y.ID) }) {
		t.Errorf("%d instances, or not sorted", len(all))
	}
}

func explain(t *testing.T, b Bench) {
	spec := b.start(t)
	facts, err := b.Node.Explain(t.Context(), "server", spec.ID)
	must(t, err)
	have := map[string]bool{}
	for _, f := range facts {
		have[f.Topic] = true
	}
	for _, want := range []string{"state", "spec", "log", "console", "disk root", "disk config", "timeline"} {
		if !have[want] {
			t.Errorf("nothing on %s in %+v", want, facts)
		}
	}
	if facts, err = b.Node.Explain(t.Context(), "port", spec.Ports[0].ID); err != nil || len(facts) == 0 {
		t.Errorf("the port: %v, %v", facts, err)
	}
	if facts, err = b.Node.Explain(t.Context(), "image", spec.Image.Digest); err != nil || len(facts) == 0 {
		t.Errorf("the image: %v, %v", facts, err)
	}
}

func nothingLeft(t *testing.T, b Bench) {
	spec := b.start(t)
	left, err := b.Node.Findings(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("with a guest: %v, %v", left, err)
	}
	must(t, b.Node.RemoveInstance(t.Context(), spec.ID))
	b.gone(t, spec.ID)
	left, err = b.Node.Findings(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("after removal: %v, %v", left, errors.Join(err))
	}
}
