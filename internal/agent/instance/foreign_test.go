package instance

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/osdef"
)

// pushed is an agent of the world, and a spec by a foreign definition with a create
// script, as its archive.
func pushed(t *testing.T, w *world, create string) (*Manager, cloud.InstanceSpec, []byte) {
	t.Helper()
	m, spec := w.agent(), by(t, w, "")
	dir := t.TempDir()
	for name, text := range map[string]string{"create": "#!/bin/sh -e\n" + create, "verify": "#!/bin/sh -e\n[ \"$OSP_MARK\" != wrong ]\n", "common.sh": "greet() { printf 'hello from %s' \"$1\"; }\n",
		"ganeti_api_version": "20\n", "variants.list": "plain\nrich\n", "parameters.list": "mark A word\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), map[bool]os.FileMode{true: 0o755, false: 0o644}[strings.HasPrefix(text, "#!")]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := ganeti.Describe(dir)
	var b bytes.Buffer
	if err = errors.Join(err, ganeti.Pack(t.Context(), &b, dir)); err != nil {
		t.Fatal(err)
	}
	f.Digest = digest(b.Bytes())
	body, err := json.Marshal(osdef.Definition{Name: "theirs", Version: 2, Foreign: f})
	if err != nil {
		t.Fatal(err)
	}
	archive := &cloud.ImageRef{ID: "archive", Digest: f.Digest, Format: "raw", Size: int64(b.Len())}
	spec.Image, spec.Kernel = *archive, nil
	spec.Deploy = &cloud.DeploySpec{Name: "theirs", Version: 2, Body: string(body), Over: map[string]string{"MARK": "it's here"}, Archive: archive, Variant: "rich"}
	m.Images = andOne{m.Images, f.Digest, b.Bytes()}
	return m, spec, b.Bytes()
}

func timelineOf(m *Manager) (text string) {
	for _, s := range m.Statuses()[0].Steps {
		text += s.Name + ": " + strings.Join(s.Notes, "; ") + "\n"
	}
	return text
}

// nothing wants no disk and no folder of a deployment.
func nothing(t *testing.T, m *Manager, id string) {
	t.Helper()
	if d, err := m.Storage.Disk(t.Context(), diskID(id, rootDisk)); id != "" && !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a disk is left: %+v, %v", d, err)
	}
	if left, _ := filepath.Glob(filepath.Join(m.Dir, ".deploy-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestForeignRoot has a root disk made by the scripts of a definition that was pushed:
// what they are told, and what they do not see.
func TestForeignRoot(t *testing.T) {
	w := newWorld(t)
	secret := filepath.Join(w.dir, "secret")
	if err := os.WriteFile(secret, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	ask := `want() { [ "$1" = "$2" ] || { echo "$1, want $2"; exit 2; }; }
. ./common.sh
want "$OS_API_VERSION $OS_VARIANT $OS_NAME $INSTANCE_OS" "20 rich theirs theirs+rich"
want "$OSP_MARK" "it's here"
want "$DISK_COUNT $DISK_0_SIZE $DISK_0_ACCESS $NIC_COUNT" "1 1024 rw 2"
want "$(stat -c %s "$DISK_0_PATH")" 1073741824
want "$NIC_0_MAC $NIC_1_MAC $INSTANCE_BE_maxmem $INSTANCE_HV_kernel_path" "fa:16:3e:00:00:01 fa:16:3e:00:00:02 64 "
want "${HEARTH_IMAGE-none}" none
want "$PWD" "$(dirname "$0")"
if cat ` + secret + `; then echo SAW IT; exit 4; fi
greet "$INSTANCE_NAME" | dd of="$DISK_0_PATH" conv=notrunc 2>/dev/null
echo all is well
`
	m, spec, _ := pushed(t, w, ask)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	if d, err := m.Storage.Disk(t.Context(), diskID(spec.ID, rootDisk)); err != nil || d.Size != gib {
		t.Errorf("%+v, %v", d, err)
	}
	for _, want := range []string{"deploy_fetch: its archive", "deploy_unpack", "verify ended well", "create ended well", "all is well", "\ndisk"} {
		if !strings.Contains(timelineOf(m), want) {
			t.Errorf("%q lacks in the timeline:\n%s", want, timelineOf(m))
		}
	}
	nothing(t, m, "")
}

// TestForeignImage has the scripts given a server's own image, with a kernel outside.
func TestForeignImage(t *testing.T) {
	w := newWorld(t)
	m, spec, _ := pushed(t, w, `[ "$HEARTH_IMAGE_FORMAT $(cat "$HEARTH_IMAGE")" = "raw some system" ]; [ "$INSTANCE_HV_kernel_path" = /outside ]; cp "$HEARTH_IMAGE" spoilt; echo spoilt > "$HEARTH_IMAGE"`+"\n")
	image := []byte("some system")
	spec.Image, spec.Kernel = cloud.ImageRef{ID: "i", Digest: digest(image), Format: "raw"}, w.spec().Kernel
	m.Images = andOne{m.Images, digest(image), image}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	if in, err := m.Images.Open(t.Context(), digest(image)); err != nil || in.Close() != nil {
		t.Error(err)
	}
	nothing(t, m, "")
}

// TestForeignFails has scripts that say no, or do not as they should: the last 50 lines
// are told, and nothing is left.
func TestForeignFails(t *testing.T) {
	lines := "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line-$i >&2; done; "
	for name, c := range map[string]struct {
		create string
		change func(*cloud.InstanceSpec, []byte)
		want   []string
	}{
		"it says no":             {lines + "echo no such mirror >&2; exit 7", nil, []string{"theirs@2", "create failed with exit status 7", "line-12\n", "no such mirror"}},
		"verify says no":         {"true", func(s *cloud.InstanceSpec, _ []byte) { s.Deploy.Over["MARK"] = "wrong" }, []string{"theirs@2", "verify failed"}},
		"a link for a disk":      {`rm "$DISK_0_PATH"; ln -s /etc/shadow "$DISK_0_PATH"`, nil, []string{"no file in the place of the disk"}},
		"a disk that grew":       {`truncate -s 2G "$DISK_0_PATH"`, nil, []string{"2147483648 bytes"}},
		"another archive":        {"true", func(s *cloud.InstanceSpec, _ []byte) { s.Deploy.Archive.Digest = s.Deploy.Archive.Digest[:135] + "x" }, []string{"the definition names sha512:"}},
		"it is not a definition": {"true", func(s *cloud.InstanceSpec, _ []byte) { s.Deploy.Body = `{"name":"theirs"}` }, []string{"no scripts of its own"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, spec, b := pushed(t, w, c.create+"\n")
			if c.change != nil {
				c.change(&spec, b)
			}
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceFailed, 1)
			text := m.Statuses()[0].Error
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q lacks in %s", want, text)
				}
			}
			if strings.Contains(text, "line-11\n") {
				t.Errorf("more than 50 lines are told:\n%s", text)
			}
			nothing(t, m, spec.ID)
		})
	}
}

// TestForeignSpoilt has other bytes come than those of the digest: nothing is run, and it
// is tried again, three times in all.
func TestForeignSpoilt(t *testing.T) {
	w := newWorld(t)
	m, spec, good := pushed(t, w, "echo ran\n")
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	sound := m.Images
	m.Images = andOne{sound, spec.Image.Digest, bad}
	must(t, m.Apply(t.Context(), spec))
	w.timers.next(t)
	w.timers.next(t)
	if st := awaitState(t, m, spec.ID, cloud.InstanceFailed, 1); !strings.Contains(st.Error, "not those of its digest") || strings.Contains(timelineOf(m), "ran") {
		t.Errorf("%+v", st)
	}
	nothing(t, m, spec.ID)
}

// TestForeignPrivileged has scripts be root of the host, who see it and forget a loop
// device of their disk: it is freed.
func TestForeignPrivileged(t *testing.T) {
	if _, err := exec.LookPath("losetup"); err != nil || os.Geteuid() != 0 {
		t.Skip("only root has loop devices: ", err)
	}
	w := newWorld(t)
	seen := filepath.Join(w.dir, "seen")
	if err := os.WriteFile(seen, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, spec, _ := pushed(t, w, "[ \"$(cat "+seen+")\" = kept ]\nlosetup -f --show \"$DISK_0_PATH\" || echo no loops here\nmkdir mnt; mount -t tmpfs t mnt\n")
	d, err := osdef.Decode([]byte(spec.Deploy.Body))
	if err != nil {
		t.Fatal(err)
	}
	d.Foreign.Privileged = true
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	spec.Deploy.Body = string(body)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, name := range loops {
		if b, _ := os.ReadFile(name); strings.HasPrefix(string(b), m.Dir) {
			t.Errorf("%s is still of %s", name, b)
		}
	}
	if mounts, _ := os.ReadFile("/proc/mounts"); strings.Contains(string(mounts), m.Dir) {
		t.Error("a mount is left")
	}
	if strings.Contains(timelineOf(m), "no loops here") {
		t.Log("there are no loop devices")
	}
	nothing(t, m, "")
}
