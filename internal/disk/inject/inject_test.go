package inject

import (
	"context"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

const (
	key1 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkb0H+9VGUJHm4vKq0n6dG3zN3NRQ1mTzHqzyN9Wl0o ann@laptop"
	key2 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJhVkC8JzJb1cX5TyOa2Ho2zqxXK8cQ1b8p2VqQ0cK1f bob@laptop"
)

func TestImage(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\nPRETTY_NAME=Debian\n", "etc/hostname=old\n", "etc/hosts=127.0.0.1 localhost\n",
			"etc/passwd=root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n", "home/ann/.ssh/authorized_keys="+key1)
	})
	ctx, run, layer := context.Background(), &disk.Runner{}, disk.Layer{Path: path, Format: disk.Raw}
	opt := Options{Keys: []string{key1, key2}, User: "ann", Hostname: "web1.example.org", Files: []File{{Path: "/opt/app/run", Data: []byte("#!"), Owner: guestfs.Owner{UID: 5, Mode: 0o755}}}}
	r, err := Image(ctx, run, layer, opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Changed, " "); got != "/etc/hostname /etc/hosts /home/ann/.ssh/authorized_keys /opt/app/run" || r.System != "Debian" {
		t.Errorf("%+v", r)
	}
	guestfstest.Clean(t, path, 1<<20)
	d, err := guestfs.Open(ctx, run, []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"/etc/hostname": "web1\n", "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1\tweb1.example.org web1\n", "/home/ann/.ssh/authorized_keys": key1 + "\n" + key2 + "\n", "/opt/app/run": "#!"} {
		if got, err := tree.ReadFile(name, 1000); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if n, err := tree.Stat("/home/ann/.ssh/authorized_keys"); err != nil || n.UID != 1000 || n.GID != 1001 || n.Mode != 0o100600 {
		t.Errorf("%+v, %v", n, err)
	}
	encoded := strings.Fields(key1)[1]
	for _, line := range []string{"-----BEGIN OPENSSH PRIVATE KEY-----", "words " + encoded, "\ufeff" + key1, "ssh-rsa " + encoded, key1 + "\n" + key2} {
		if r, err := Image(ctx, run, layer, Options{Keys: []string{line}, User: "ann"}); disk.KindOf(err) != disk.Unsupported {
			t.Errorf("%q did %+v, %v", line, r, err)
		}
	}
	if r, err := Image(ctx, run, layer, Options{Keys: []string{"from=\"10.0.0.0/8\",no-pty \t" + strings.Replace(key1, " ", "  ", 1) + "\r\n"}}); err != nil || len(r.Changed) != 1 {
		t.Errorf("a key with options: %+v, %v", r, err)
	}
	for _, bad := range []Options{{Keys: []string{key1}, User: "eve"}, {Keys: []string{"no key"}}, {Files: []File{{Path: "/etc/hostname/x"}}}, {Files: []File{{Path: "/etc"}}}, {Files: []File{{Path: "/a\nb"}}}} {
		if r, err := Image(ctx, run, layer, bad); err == nil {
			t.Errorf("%+v did %+v", bad, r)
		}
	}
	guestfstest.Clean(t, path, 1<<20)
}
