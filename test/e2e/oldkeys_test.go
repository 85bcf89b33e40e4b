package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	image "hearth/internal/disk"
	"hearth/internal/disk/guestfs"
)

// oldKeys boots two clones of an image that has ssh host keys in it and neither
// cloud-init nor Hearth's agent: each has keys of its own, by which it is found.
func (g *stage) oldKeys(ember baked) {
	if os.Getenv("HEARTH_E2E_ALL") == "" {
		g.t.Skip("boots two guests more: 'make e2e-all' runs this")
	}
	id := g.upload("old-keys", "raw", g.withoutAgent(ember.raw), nil)
	all := []*machine{g.launch(g.flavor(1), wish{name: "old1", image: id, network: g.private, group: "web"}), g.launch(g.flavor(1), wish{name: "old2", image: id, network: g.private, group: "web"})}
	seen := map[string]string{}
	for _, m := range all {
		g.ready(m)
		g.giveFloating(m)
		sshTo(g.t, "root", m.float, g.signer)
		if out := g.hearth("server", "ssh", m.name, "--user", "root", "--identity", g.keyFile, "--", "sh", "-c", "'dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^Fingerprint'"); seen[out] != "" || !strings.Contains(out, "SHA256:") {
			g.t.Errorf("the host key of %s is %q, and %q has it too", m.name, out, seen[out])
		} else {
			seen[out] = m.name
		}
	}
	g.remove(all...)
}

// withoutAgent makes of ember's disk one as somebody may bring it along: dropbear with
// keys of its own, a key of root's, and nothing that asks for metadata.
func (g *stage) withoutAgent(raw string) string {
	path := filepath.Join(tempDir(g.t), "old.raw")
	in, err := os.Open(raw)
	if err != nil {
		g.t.Fatal(err)
	}
	defer in.Close()
	ctx := context.Background()
	if err := image.CopySparse(ctx, path, in); err != nil {
		g.t.Fatal(err)
	}
	public, err := os.ReadFile(g.keyFile + ".pub")
	if err != nil {
		g.t.Fatal(err)
	}
	d, err := guestfs.Open(ctx, &image.Runner{}, []image.Layer{{Path: path, Format: image.Raw}}, guestfs.ReadWrite)
	if err != nil {
		g.t.Fatal(err)
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		g.t.Fatal(err)
	}
	e := tree.Edit()
	e.Remove("/bin/hearth-guest")
	e.Write("/etc/inittab", []byte("::sysinit:/etc/rc\n::respawn:/usr/sbin/dropbear -F -s\nttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n::shutdown:/bin/umount -a -r\n"), guestfs.Owner{Mode: 0o644})
	e.Write("/etc/dropbear/dropbear_ed25519_host_key", []byte("shared by all"), guestfs.Owner{Mode: 0o600})
	e.Mkdir("/root/.ssh", guestfs.Owner{Mode: 0o700})
	e.Write("/root/.ssh/authorized_keys", public, guestfs.Owner{Mode: 0o600})
	if err := e.Commit(ctx); err != nil {
		g.t.Fatal(err)
	}
	return path
}
