package hypervisor

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRBDOf(t *testing.T) {
	const good = "rbd:volumes/d-8c5b:id=hearth:conf=/etc/ceph/ceph.conf:keyring=/etc/ceph/k"
	want := RBD{Pool: "volumes", Image: "d-8c5b", User: "hearth", Conf: "/etc/ceph/ceph.conf", Keyring: "/etc/ceph/k"}
	if got, ok := RBDOf(good); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, bad := range []string{"", "/rbd", "rbd:volumes/d", good + ":mon_host=evil", "rbd:a/b/c:id=x:conf=/c:keyring=/k", "rbd:a/b@snap:id=x:conf=/c:keyring=/k", "rbd:a/b:id=x:conf=c:keyring=/k"} {
		if _, ok := RBDOf(bad); ok {
			t.Errorf("%q is taken for one", bad)
		}
	}
	for path, ok := range map[string]bool{good: true, "/disk": true, "disk": false, "rbd:x": false} {
		if got := (Disk{ID: "root", Path: path, Format: FormatRaw}).fault() == ""; got != ok {
			t.Errorf("%q: %v", path, got)
		}
	}
	if (Disk{ID: "root", Path: good, Format: FormatQCOW2}).fault() == "" {
		t.Error("a qcow2 in an image of a cluster")
	}
}

func TestRBDKey(t *testing.T) {
	ring := filepath.Join(t.TempDir(), "keyring")
	if err := os.WriteFile(ring, []byte("[client.admin]\n\tkey = AQadmin==\n[client.hearth]\n\tcaps mon = \"profile rbd\"\n\tkey = AQhearth==\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"admin": "AQadmin==", "hearth": "AQhearth==", "nobody": ""} {
		got, err := (RBD{User: user, Keyring: ring}).Key()
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", user, string(got), err)
		}
	}
}
