package cloud

import "testing"

func TestFileSystemsOfVolumes(t *testing.T) {
	for _, c := range []struct {
		fs, label, mount string
		want             VolumeFileSystem
		bad              bool
	}{
		{},
		{fs: "ext4", want: VolumeFileSystem{"ext4", "data", ""}},
		{fs: "ext4", mount: "/srv/web", want: VolumeFileSystem{"ext4", "web", "/srv/web"}},
		{fs: "ext4", label: "a.b-c", mount: "/data", want: VolumeFileSystem{"ext4", "a.b-c", "/data"}},
		{mount: "/data", want: VolumeFileSystem{"", "data", "/data"}}, // of a copy, which has a file system already
		{fs: "ext4", mount: "/a-directory-of-a-long-name", want: VolumeFileSystem{"ext4", "data", "/a-directory-of-a-long-name"}},
		{fs: "zfs", bad: true},
		{fs: "ext4", label: "seventeen-letters", bad: true},
		{fs: "ext4", label: "-L", bad: true},
		{fs: "ext4", label: "swap", bad: true},
		{fs: "ext4", mount: "data", bad: true},
		{fs: "ext4", mount: "/", bad: true},
		{fs: "ext4", mount: "/a/../etc", bad: true},
		{fs: "ext4", mount: "/etc/ssh", bad: true},
		{fs: "ext4", mount: "/data ,x", bad: true},
		{fs: "ext4", mount: "/usr/local", want: VolumeFileSystem{"ext4", "local", "/usr/local"}},
	} {
		meta := map[string]string{VolumeFS: c.fs, VolumeLabel: c.label, VolumeMount: c.mount}
		got, err := ParseVolumeFileSystem(meta)
		if (err != nil) != c.bad || err == nil && got != c.want || err != nil && !Is(err, Invalid) {
			t.Errorf("%v: %+v, %v; want %+v", meta, got, err, c.want)
		}
	}
}
