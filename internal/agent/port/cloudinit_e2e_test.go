package port

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hearth/internal/agent/dhcp"
	"hearth/internal/cloud"
	"hearth/internal/driver/network/linux"
)

//go:embed testdata/collect.py
var collectScript string

// crawlGoal is how long cloud-init may take to collect what a guest is told, on
// the processor itself: an emulated one (see test/e2e's TestDebian) adds its own
// factor of ten or more.
const crawlGoal = time.Second

// TestE2ECloudInitCollects has Debian's cloud-init, unpacked and not installed,
// collect all metadata from where a guest would, in less than a second.
func TestE2ECloudInitCollects(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root, the kernel and Debian's packages: set HEARTH_E2E=1")
	}
	modules := unpackCloudInit(t)
	ctx := context.Background()
	driver, err := linux.New(linux.Config{Node: fmt.Sprintf("c%d", time.Now().UnixNano()%1e9)})
	ok(t, err)
	defer driver.Close()
	defer func() { ok(t, driver.Down(ctx)) }()
	spec, r, instance := bootExample()
	const script = "#!/bin/sh\ntrue\n"
	instance.Meta = cloud.InstanceMeta{
		ReservationID: "r-abcdefgh", AvailabilityZone: "nova", InstanceType: "m1.small", ImageID: cloud.NewID(), UserData: []byte(script),
		Keys: []cloud.MetaKey{{Name: "me", Type: "ssh", Data: "ssh-ed25519 AAAA me"}}, Metadata: map[string]string{"role": "web"}, SecurityGroups: []string{"default"},
		RandomSeed: make([]byte, 512),
	}
	m, err := New(t.TempDir(), driver, func(id string) (cloud.InstanceSpec, bool) { return instance, id == instance.ID }, Options{DHCP: dhcp.Options{}})
	ok(t, err)
	defer m.Close()
	ok(t, m.ApplyNetwork(ctx, spec))
	ok(t, m.ApplyRouter(ctx, r))
	g, err := linux.NewGuest()
	ok(t, err)
	defer g.Close()
	ok(t, driver.AttachGuest(ctx, spec.ID, spec.Ports[0].ID, g))
	ok(t, g.SetUp([]netip.Prefix{netip.MustParsePrefix("10.0.0.11/24")}, netip.MustParseAddr("10.0.0.1")))

	var got struct {
		Seconds  []float64
		Hostname string
		UserData string `json:"user_data"`
		EC2      string `json:"ec2"`
		Version  string
	}
	cmd := exec.Command("/usr/bin/python3", "-c", collectScript)
	cmd.Env = []string{"PYTHONPATH=" + modules, "PATH=/usr/bin:/bin"}
	var out []byte
	ok(t, g.Do(func() (err error) { out, err = cmd.Output(); return err })) // the child is in the namespace of the thread that made it
	ok(t, json.Unmarshal(out, &got))
	if got.Hostname != instance.Hostname || got.UserData != script || got.EC2 != instance.Hostname {
		t.Errorf("cloud-init %s collected %s", got.Version, out)
	}
	best := time.Duration(slices.Min(got.Seconds) * float64(time.Second))
	t.Logf("cloud-init %s collects in %v, at best %v (%.3f s)", got.Version, time.Duration(got.Seconds[0]*float64(time.Second)).Round(time.Millisecond), best.Round(time.Millisecond), got.Seconds)
	if best >= crawlGoal {
		t.Errorf("cloud-init took %v for its metadata, want less than %v", best, crawlGoal)
	}
}

// unpackCloudInit gives the folder with cloud-init's modules, and those that it
// needs beyond what Hearth's clients brought here.
func unpackCloudInit(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ok(t, os.Chmod(dir, 0o777)) // apt fetches as a user of its own
	for _, name := range []string{"cloud-init", "python3-configobj"} {
		cmd := exec.Command("apt-get", "download", "-q", name)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("apt-get download %s: %v\n%s", name, err, out)
		}
	}
	debs, err := filepath.Glob(dir + "/*.deb")
	ok(t, err)
	for _, deb := range debs {
		if out, err := exec.Command("dpkg-deb", "-x", deb, dir+"/root").CombinedOutput(); err != nil {
			t.Fatalf("dpkg-deb -x %s: %v\n%s", deb, err, out)
		}
	}
	return dir + "/root/usr/lib/python3/dist-packages"
}
