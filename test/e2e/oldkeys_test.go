package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	image "hearth/internal/disk"
)

// oldRecipe is a Debian as somebody brings it along from elsewhere: with OpenSSH, and
// nothing that asks for metadata.
const oldRecipe = `name: old
base: {bootstrap: debian, suite: bookworm}
packages:
  install: [systemd-sysv, udev, kmod, ifupdown, isc-dhcp-client, openssh-server, iproute2, procps]
kernel: {from: hearth}
agent: none
boot: {wait: 0}
outputs: [raw]
`

// TestOldKeys boots servers of an image that has ssh host keys in it and neither
// cloud-init nor Hearth's agent: two clones of it, one from a volume made of it, and,
// when that one was deleted, another from the same volume. Each has keys of its own,
// which its console shows, and by which 'hearth server ssh' knows it. The node is killed
// over those of the first volume.
func TestOldKeys(t *testing.T) {
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots Debian four times: 'make e2e-all' runs this")
	}
	raw := bakeOld(t)
	c := newCloud(t, "qemu")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	signer, public := keyPair(t)
	g.signer, g.keyFile, g.private = signer, strings.TrimSuffix(public, ".pub"), g.networkNamed("private")
	g.group("web", true, 22)
	seen := map[string]string{}
	for _, print := range g.ownKeys(raw) {
		seen[print] = "the image"
	}
	id, flavor := g.upload("old", "raw", raw, nil), g.sizedFlavor("old", 512, 1, 2)
	var all []*machine
	for _, name := range []string{"old1", "old2"} {
		m := g.launch(flavor, wish{name: name, image: id, network: g.private, group: "web"})
		all = append(all, m)
	}
	for _, m := range all {
		g.known(m, seen)
	}
	g.remove(all...)

	// At this point the new keys count, and none is on the volume.
	first := c.dieAt("instance.keys.noted", func(*session) *machine {
		return g.fromVolume("old3", flavor, servers.BlockDevice{SourceType: servers.SourceImage, UUID: id, VolumeSize: 2})
	})
	g.known(first, seen)
	volume := must(servers.Get(g.ctx, g.compute, first.id).Extract())(t).AttachedVolumes[0].ID
	g.remove(first) // by force: what its journal holds is not on its place yet
	g.awaitVolume(volume, "available")
	second := g.fromVolume("old4", flavor, servers.BlockDevice{SourceType: servers.SourceVolume, UUID: volume})
	g.known(second, seen)
	g.remove(second)
	g.awaitVolume(volume, "available")
	g.do(volumes.Delete(g.ctx, g.volume, volume, nil).ExtractErr())
	if len(seen) != 5*3 {
		t.Errorf("%d keys of an image and four guests, want 15: %v", len(seen), seen)
	}
	c.fsck()
}

// fromVolume asks for a server that boots from a volume, which stays.
func (g *stage) fromVolume(name, flavor string, from servers.BlockDevice) *machine {
	g.t.Helper()
	from.DestinationType, from.BootIndex = servers.DestinationVolume, 0
	made := must(servers.Create(g.ctx, g.compute, servers.CreateOpts{
		Name: name, FlavorRef: flavor, Networks: []servers.Network{{UUID: g.private}}, SecurityGroups: []string{"web"}, BlockDevice: []servers.BlockDevice{from},
	}, nil).Extract())(g.t)
	return &machine{name: name, id: made.ID}
}

var oneKey = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`)

// known logs in to a server by what its console shows alone, and holds its keys against
// that, and against those that were seen before.
func (g *stage) known(m *machine, seen map[string]string) {
	g.t.Helper()
	start := time.Now()
	g.ready(m)
	g.giveFloating(m)
	sshTo(g.t, "root", m.float, g.signer) // waits until it is up
	up := time.Since(start)
	out := g.hearth("server", "ssh", m.name, "--user", "root", "--identity", g.keyFile, "--", "sh", "-c", "'for k in rsa ecdsa ed25519; do ssh-keygen -lf /etc/ssh/ssh_host_${k}_key; done'")
	has := oneKey.FindAllString(out, -1)
	console := g.awaitConsole(m.id, "login:")
	if blocks := strings.Count(console, "BEGIN SSH HOST KEY FINGERPRINTS"); len(has) != 3 || blocks != 1 {
		g.t.Errorf("%s has the keys %q; its console tells of some %d times", m.name, out, blocks)
	}
	for _, print := range has {
		if who := seen[print]; who != "" {
			g.t.Errorf("%s shares the host key %s with %s", m.name, print, who)
		}
		if !strings.Contains(console, print) {
			g.t.Errorf("the console of %s does not show %s", m.name, print)
		}
		seen[print] = m.name
	}
	explained := linesWith(g.hearth("explain", "server", m.id), "host-keys") + linesWith(g.hearth("explain", "server", m.id), "host keys")
	g.t.Logf("%s: ssh after %.1f s\n%s%s", m.name, up.Seconds(), out, explained)
}

// ownKeys puts keys into an image, root's and the host's own, and gives the
// fingerprints of those.
func (g *stage) ownKeys(raw string) []string {
	g.t.Helper()
	var report struct {
		HostKeys []string `json:"host_keys"`
	}
	out := g.hearth("image", "inject", "--json", "--new-identity", "--ssh-key", g.keyFile+".pub", raw)
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		g.t.Fatal(err)
	}
	return oneKey.FindAllString(strings.Join(report.HostKeys, "\n"), -1)
}

// bakeOld bakes the recipe, or takes what was baked before, and gives a copy.
func bakeOld(t *testing.T) string {
	t.Helper()
	dir := bakeRecipe(t, "old", oldRecipe)
	path := filepath.Join(tempDir(t), "old.raw")
	in := must(os.Open(filepath.Join(dir, "old.raw")))(t)
	defer in.Close()
	if err := image.CopySparse(t.Context(), path, in); err != nil {
		t.Fatal(err)
	}
	return path
}
