package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"golang.org/x/sys/unix"
)

func TestParseOld(t *testing.T) {
	for _, tt := range []struct {
		args    string
		options map[string][]string
		words   []string
		err     string
	}{
		{args: "--image-id I --display_name=n 10", options: map[string][]string{"image-id": {"I"}, "display-name": {"n"}}, words: []string{"10"}},
		{args: "10 --image-id I --poll", options: map[string][]string{"image-id": {"I"}, "poll": {"true"}}, words: []string{"10"}},
		{args: "-Hcdrom_image_path=x.iso,boot_order=cdrom i", options: map[string][]string{"H": {"cdrom_image_path=x.iso,boot_order=cdrom"}}, words: []string{"i"}},
		{args: "-H=x --H y -poll", options: map[string][]string{"H": {"x", "y"}, "poll": {"true"}}},
		{args: "--nonsense 10", err: "--nonsense is not known"},
		{args: "--Hx 10", err: "--Hx is not known"},
		{args: "10 --image-id", err: "wants a value"},
	} {
		l, err := parseOld(strings.Fields(tt.args), []string{"image-id", "display-name", "H"}, []string{"poll"})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v", tt.args, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(l.options, tt.options) || !reflect.DeepEqual(l.words, tt.words) {
			t.Errorf("%s: %+v, %v", tt.args, l, err)
		}
	}
}

func TestGlanceFieldsOfThenAndNow(t *testing.T) {
	for field, today := range map[string]string{
		"disk_format=aki": "--disk-format aki", "is_public=True": "--public", "is_public=False": "--private", "kernel_id=abc": "--property kernel_id=abc",
		"os=two words": "--property 'os=two words'", "protected=True": "--protected", "protected=False": "", "size=7": "", "min_ram=64": "--min-ram 64",
	} {
		key, value, _ := strings.Cut(field, "=")
		want := images.CreateOpts{Properties: map[string]string{}}
		words, err := glanceField(&want, key, value)
		if err != nil || command(words) != today {
			t.Errorf("%s: %q, %v", field, command(words), err)
		}
	}
	if _, err := glanceField(&images.CreateOpts{}, "copy_from", "http://x/y"); err == nil || !strings.Contains(err.Error(), "web-download --uri http://x/y") {
		t.Errorf("%v", err)
	}
}

func TestLoginByVariablesOfThen(t *testing.T) {
	env := map[string]string{"OS_AUTH_URL": "http://10.0.0.1:5000/v2.0/", "OS_USERNAME": "demo", "OS_PASSWORD": "x", "OS_TENANT_NAME": "demo"}
	a := oldLogin(func(k string) string { return env[k] })
	if a.IdentityEndpoint != "http://10.0.0.1:5000/v3" || a.TenantName != "demo" || a.DomainID != "default" {
		t.Errorf("%+v", a)
	}
	env["OS_USER_DOMAIN_NAME"], env["OS_PROJECT_ID"], env["OS_AUTH_URL"] = "Default", "p", "https://c/v3"
	if a = oldLogin(func(k string) string { return env[k] }); a.DomainName != "Default" || a.DomainID != "" || a.TenantID != "p" || a.TenantName != "" || a.IdentityEndpoint != "https://c/v3" {
		t.Errorf("%+v", a)
	}
}

func TestOldNames(t *testing.T) {
	for program, name := range map[string]string{"/opt/names/glance": "glance", "gnt-instance": "gnt-instance", "./hearth": "", "/usr/bin/hearth-glance": ""} {
		if got := oldName(program); got != name {
			t.Errorf("%s: %q", program, got)
		}
	}
	for _, tool := range oldTools() {
		if (tool.do == nil) == (tool.verbs == nil) {
			t.Errorf("%s does nothing, or two things", tool.name)
		}
		seen := map[string]bool{}
		for _, v := range tool.verbs {
			if v.do == nil || seen[v.name] {
				t.Errorf("%s %s is there twice or does nothing", tool.name, v.name)
			}
			seen[v.name] = true
		}
	}
}

// TestGanetiImage reads the options of seeds/003, and the settings for those that are
// left out.
func TestGanetiImage(t *testing.T) {
	kind := machineWord(runtime.GOARCH)
	settings := map[string]string{"IMAGE_DIR": "/var/cache/images", "IMAGE_NAME": "debian-5.0", "ARCH": "x86"}
	for _, tt := range []struct {
		args     string
		defaults map[string]string
		want     imageWish
		err      string
	}{
		{args: "-t tarball -i web1", want: imageWish{server: "web1", to: "tar.gz", out: "web1-" + kind + ".tar.gz"}},
		{args: "-t dump -i web1.example.org", want: imageWish{server: "web1.example.org", to: "dump", out: "web1.example.org-" + kind}},
		{args: "-d /srv/images -n debian-12 -a x86_64 -t qemu-img -i web1", defaults: settings, want: imageWish{server: "web1", to: "qcow2", out: "/srv/images/debian-12-x86_64.img", compress: "zlib"}},
		{args: "-t dump -i web1", defaults: settings, want: imageWish{server: "web1", to: "dump", out: "/var/cache/images/debian-5.0-x86"}},
		{args: "-tdump -iweb1 -n debian-12", want: imageWish{server: "web1", to: "dump", out: "debian-12-" + kind}},
		{args: "", err: "-i INSTANCE"},
		{args: "-t iso -i web1", err: "tarball, dump or qemu-img"},
		{args: "-t dump", err: "-i INSTANCE"},
		{args: "-t dump -i web1 -n ../x", err: "without folders"},
		{args: "-t dump -i web1 -x y", err: "-x is not known"},
		{args: "-t dump -i web1 web2", err: "belongs to no option"},
	} {
		got, err := wishOf(strings.Fields(tt.args), tt.defaults)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v", tt.args, err)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.args, got, err)
		}
	}
}

// TestInstanceRoot: no name leads out of /tmp.
func TestInstanceRoot(t *testing.T) {
	for name, want := range map[string]string{"web1.example.org": "/tmp/web1.example.org_root", "../etc": "", "..": "", "a/b": ""} {
		_, dir, with, err := (&oldCall{args: []string{"--rw", name}}).instanceRoot("rw")
		if dir != want || (err == nil) != (want != "") || err == nil && !slices.Equal(with, []string{"--rw"}) {
			t.Errorf("%s: %q, %v, %v", name, dir, with, err)
		}
	}
	if _, _, _, err := (&oldCall{args: []string{"--rw", "web1"}}).instanceRoot(); err == nil {
		t.Error("umount-disks takes --rw")
	}
}

// TestLastOf: what a process said that showed files decides what umount-disks says.
func TestLastOf(t *testing.T) {
	for said, want := range map[string]string{"  fetch 10 bytes\n" + unmountedLine + "\n  done\n": "", "  server web1 is locked\n  fetch 10 bytes\n": "the process that showed the files was killed: its copy of the disk stays in the folder for temporary files, and what was changed in that is not put back ('hearth disk replace' does so, after 'openstack server unlock'). It had said:\nserver web1 is locked\n  fetch 10 bytes", "  fetch\nhearth: no room\nIt is kept: /tmp/x\n": "no room\nIt is kept: /tmp/x", "hearth: at once\n": "at once"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, mountDisksLog), []byte(said), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err := lastOf(dir, &out)
		if got := fmt.Sprint(err); want == "" && (err != nil || !strings.Contains(out.String(), "done")) || want != "" && got != want {
			t.Errorf("%q: %v, %q", said, err, out.String())
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// TestEnded: what is left of a mount that was ended otherwise is told from one that goes on.
func TestEnded(t *testing.T) {
	dir := t.TempDir()
	if ended(dir) {
		t.Error("a folder without a log")
	}
	said, err := os.Create(filepath.Join(dir, mountDisksLog))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	if err := unix.Flock(int(said.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if ended(dir) {
		t.Error("the process lives")
	}
	if err := unix.Flock(int(said.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if !ended(dir) {
		t.Error("it has ended")
	}
}

// TestOldToolWithoutWords shows its help, and fails as its makers' did.
func TestOldToolWithoutWords(t *testing.T) {
	for _, tool := range []oldTool{oldGanetiImage(), oldMountDisks(), oldUmountDisks()} {
		for words, fails := range map[string]bool{"": true, "-h": false, "--help": false} {
			var said strings.Builder
			err := tool.run(&oldCall{args: strings.Fields(words), progress: &said})
			if (err != nil) != fails || !strings.Contains(said.String(), "Usage: "+tool.name) {
				t.Errorf("%s %s: %v, %q", tool.name, words, err, said.String())
			}
		}
	}
}
