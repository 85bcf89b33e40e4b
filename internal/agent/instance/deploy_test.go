package instance

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/osdef"
)

// andOne are Images with one image more.
type andOne struct {
	Images
	digest string
	data   []byte
}

func (a andOne) Open(ctx context.Context, digest string) (io.ReadCloser, error) {
	if digest == a.digest {
		return io.NopCloser(bytes.NewReader(a.data)), nil
	}
	return a.Images.Open(ctx, digest)
}

// deploying is an agent of the world, and a spec by a definition with one hook, of a
// tarball.
func deploying(t *testing.T, w *world, hook string) (*Manager, cloud.InstanceSpec) {
	t.Helper()
	m, spec, b := w.agent(), by(t, w, hook), system(t)
	spec.Image.Digest = digest(b)
	m.Images = andOne{m.Images, spec.Image.Digest, b}
	return m, spec
}

func digest(b []byte) string {
	sum := sha512.Sum512(b)
	return "sha512:" + hex.EncodeToString(sum[:])
}

// system is a tarball of a system without a kernel, which lies outside.
func system(t *testing.T) []byte {
	return archive(t, map[string]string{"etc/hostname": "old\n", "etc/os-release": "ID=debian\n", "etc/inittab": "x\n"})
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// by is a spec of the world by a definition with one hook.
func by(t *testing.T, w *world, hook string) cloud.InstanceSpec {
	t.Helper()
	for _, tool := range []string{"mke2fs", "debugfs", "qemu-img"} {
		if _, err := exec.LookPath(tool); err != nil {
			if _, err := os.Stat("/usr/sbin/" + tool); err != nil {
				t.Skip(err)
			}
		}
	}
	d := osdef.Definition{Name: "web", Version: 3, Settings: map[string]string{"SWAP": "no", "FILESYSTEM": "ext4"}, Features: map[string]bool{"ssh": false}, Hooks: map[string]string{"10-site": "#!/bin/sh\n" + hook}}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	spec := w.spec()
	spec.Deploy = &cloud.DeploySpec{Name: "web", Version: 3, Body: string(body), Over: map[string]string{"CUSTOMIZE_DIR": "", "NETWORKS_DIR": ""}}
	return spec
}

// TestDeployedRoot has a root disk made by a definition, of a tarball, and its hook
// told of the server; an overlay comes as an archive. Its timeline tells each part.
func TestDeployedRoot(t *testing.T) {
	w := newWorld(t)
	test := "grep -q 10.9.8.7 $TARGET/etc/motd || { cat $TARGET/etc/motd; exit 3; }; echo all is well\n"
	ask := `want() { [ "$1" = "$2" ] || { echo "$1, want $2"; exit 2; }; }` + "\n"
	m, spec := deploying(t, w, "")
	spec = by(t, w, ask+"want \"$NIC_0_MAC\" "+spec.Ports[0].MAC+"; want \"$INSTANCE_NAME\" "+spec.Hostname+"; want \"$IMAGE_TYPE\" tarball; want ${#INSTANCE_UUID} 36\n"+test)
	image, overlay := system(t), archive(t, map[string]string{"etc/motd": "rack 10.9.8.7\n"})
	spec.Image.Digest, spec.Deploy.Overlay = digest(image), &cloud.ImageRef{ID: "o", Digest: digest(overlay)}
	spec.Deploy.Over["OVERLAY"] = "site"
	m.Images = andOne{andOne{m.Images, digest(image), image}, digest(overlay), overlay}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	d, err := m.Storage.Disk(t.Context(), diskID(spec.ID, rootDisk))
	if err != nil || d.Size != int64(spec.RootGB)*gib {
		t.Errorf("%+v, %v", d, err)
	}
	if left, _ := filepath.Glob(filepath.Join(m.Dir, ".deploy-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	told := ""
	for _, s := range m.Statuses()[0].Steps {
		told += s.Name + ": " + strings.Join(s.Notes, "; ") + "\n"
	}
	for _, want := range []string{"deploy_fill", "deploy_hooks", "hook 10-site ended well", "all is well", "\ndisk"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q lacks in the timeline:\n%s", want, told)
		}
	}
}

// TestFailingHook has a server whose hook says no: what it said is told, and nothing
// of the server's is left.
func TestFailingHook(t *testing.T) {
	w := newWorld(t)
	m, spec := deploying(t, w, "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line-$i >&2; done; echo no such rack >&2; exit 7\n")
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceFailed, 1)
	text := m.Statuses()[0].Error
	for _, want := range []string{"web@3", "10-site", "exit status 7", "line-12\n", "no such rack"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks in %s", want, text)
		}
	}
	if strings.Contains(text, "line-11\n") {
		t.Errorf("more than 50 lines are told:\n%s", text)
	}
	if d, err := m.Storage.Disk(t.Context(), diskID(spec.ID, rootDisk)); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a disk is left: %+v, %v", d, err)
	}
	if left, _ := filepath.Glob(filepath.Join(m.Dir, ".deploy-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
