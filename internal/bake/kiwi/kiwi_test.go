package kiwi

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/bake/recipe"
)

const guestXML = `<?xml version="1.0"?>
<image schemaversion="5.0" name="Cloud_Guest">
 <preferences><packagemanager>apt</packagemanager>
  <type image="iso"/><type image="vmx" primary="true" filesystem="ext4" boot="vmxboot/suse-12.1" format="qcow2" bootloader="extlinux" kernelcmdline="quiet"><size unit="G">2</size></type></preferences>
 <users group="root"><user pwd="$6$ab$cd" home="/root" name="root"/></users>
 <users group="users"><user name="tux" groups="users,wheel" shell="/bin/bash" password="secret" pwdformat="plain"/></users>
 <repository type="apt-deb" distribution="bookworm" components="main contrib"><source path="http://deb.debian.org/debian"/></repository>
 <repository type="yast2"><source path="obs://openSUSE:12.1/standard"/></repository>
 <packages type="image"><package name="openssh-server"/><package name="openssh-server"/><archive name="extra.tgz"/><opensusePattern name="base"/></packages>
 <packages type="delete"><package name="vim"/></packages>
</image>`

func describe(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRead(t *testing.T) {
	dir := describe(t, map[string]string{"config.xml": guestXML, "config.sh": "suseInsertService sshd\n  suseConfig\nbaseMine() { :; }\nbaseMine\n", "root/etc/motd": "x", "extra.tgz": "x"})
	r, warnings, err := Read(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "cloud_guest" || r.Base.Bootstrap != "debian" || r.Base.Suite != "bookworm" || !slices.Equal(r.Base.Components, []string{"main", "contrib"}) || !slices.Equal(r.Packages.Install, []string{"openssh-server"}) ||
		r.Disk.Size != "2GiB" || !slices.Equal(r.Outputs, []string{"qcow2"}) || r.Boot.Arguments != "quiet" || r.Boot.Loader != "extlinux" || r.Firmware != "" {
		t.Errorf("%+v", r)
	}
	if len(r.Users) != 2 || r.Users[0].Name != "tux" || !slices.Equal(r.Users[0].Groups, []string{"users", "wheel"}) || r.Users[0].PasswordHash != "" || r.Users[1].PasswordHash != "$6$ab$cd" {
		t.Errorf("users %+v", r.Users)
	}
	if len(r.Overlay) != 2 || r.Overlay[0].From != "root" || len(r.Scripts) != 1 || r.Scripts[0].Prelude["described"] == "" {
		t.Errorf("%+v %+v", r.Overlay, r.Scripts)
	}
	all := strings.Join(warnings, "\n")
	for _, want := range []string{"obs://openSUSE:12.1/standard is not asked", "password of tux is plain", "collection base", `type "delete"`, "config.sh: the function suseConfig is not available"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s lacks %q", all, want)
		}
	}
	if len(warnings) != 5 {
		t.Errorf("%d warnings: %s", len(warnings), all)
	}
	for _, f := range r.Check() {
		t.Errorf("%s", f)
	}
}

func TestReadRefuses(t *testing.T) {
	for change, want := range map[[2]string]string{
		{"</image>", ""}: ":11:",
		{`image="vmx" primary="true"`, `image="pxe" primary="true"`}: `type "pxe"`,
		{`format="qcow2"`, `format="vmdk"`}:                          "hearth image convert",
		{`filesystem="ext4"`, `filesystem="btrfs"`}:                  "btrfs is not available",
		{`>apt<`, `>zypper<`}:                                        "a bootstrap by zypper is not available",
	} {
		dir := describe(t, map[string]string{"config.xml": strings.Replace(guestXML, change[0], change[1], 1)})
		if _, _, err := Read(dir, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", change, err)
		}
	}
	dir := describe(t, map[string]string{"config.xml": strings.Replace(guestXML, ">apt<", ">zypper<", 1)})
	if r, _, err := Read(dir, "suse.tar"); err != nil || !filepath.IsAbs(r.Base.Tarball) || r.Base.Bootstrap != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestScaffoldIsRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := recipe.Scaffold("suse", dir); err != nil {
		t.Fatal(err)
	}
	if r, warnings, err := Read(dir, "x.tar"); err != nil || len(warnings) != 0 || r.Name != "cloud_guest" || r.Users[0].Name != "ec2-user" {
		t.Errorf("%+v %q %v", r, warnings, err)
	}
}

// TestFunctions runs those that touch nothing but a named file.
func TestFunctions(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	dir := describe(t, map[string]string{"dhcp": "# DHCLIENT_BIN=x\nDHCLIENT_BIN=\"\"\nOTHER=1\n"})
	script := functions + "\nbaseUpdateSysConfig " + dir + "/dhcp DHCLIENT_BIN 'a & /b\"'\nbaseUpdateSysConfig " + dir + "/dhcp NEW mbr\nbaseUpdateSysConfig /nowhere A b || echo refused\nsuseService x maybe || echo refused\n"
	out, err := exec.Command(bash, "-c", script).CombinedOutput()
	if err != nil || strings.Count(string(out), "refused") != 2 {
		t.Errorf("%s, %v", out, err)
	}
	got, _ := os.ReadFile(filepath.Join(dir, "dhcp"))
	if want := "# DHCLIENT_BIN=x\nDHCLIENT_BIN=\"a & /b\"\"\nOTHER=1\nNEW=\"mbr\"\n"; string(got) != want {
		t.Errorf("%q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(guestXML)
	f.Add("<image><preferences><type image='tbz'/></preferences></image>")
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if os.WriteFile(filepath.Join(dir, "config.xml"), []byte(text), 0o600) == nil {
			_, _, _ = Read(dir, "x.tar")
		}
	})
}
