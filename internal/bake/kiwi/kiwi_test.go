package kiwi

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

func TestScaffoldsAreRead(t *testing.T) {
	for kind, want := range map[string]recipe.Recipe{
		"suse":         {Name: "cloud_guest", Users: []recipe.User{{Name: "ec2-user"}}, Disk: recipe.Disk{Size: "2GiB"}},
		"nebula-head":  {Name: "nebula-head", Users: []recipe.User{{Name: "nebula"}}, Disk: recipe.Disk{Swap: "2048MiB"}, Boot: recipe.Boot{Title: "Nebula Head Node", Wait: 2}, Kernel: recipe.Kernel{From: "distribution"}},
		"nebula-node":  {Name: "nebula-node", Users: []recipe.User{{Name: "nebula"}}, Disk: recipe.Disk{Swap: "2048MiB"}, Boot: recipe.Boot{Title: "Nebula Cloud Node", Wait: 2}, Kernel: recipe.Kernel{From: "distribution"}},
		"nebula-guest": {Name: "nebula-guest", Users: []recipe.User{{Name: "nebula"}}},
	} {
		dir, base := t.TempDir(), ""
		if _, err := recipe.Scaffold(kind, dir); err != nil {
			t.Fatal(err)
		}
		if kind == "suse" {
			base = filepath.Join(dir, "x.tar")
			if err := os.WriteFile(base, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, warnings, err := Read(dir, base)
		if err != nil || len(warnings) != 0 || r.Name != want.Name || r.Users[0].Name != want.Users[0].Name || r.Disk != want.Disk || r.Boot.Title != want.Boot.Title || r.Boot.Wait != want.Boot.Wait || r.Kernel.From != want.Kernel.From {
			t.Errorf("%s: %+v %q %v", kind, r, warnings, err)
		} else if found := r.Check(); len(found) > 0 {
			t.Errorf("%s: %v", kind, found)
		}
	}
}

// cookbookType is the type of the cookbook's head node (seeds/002), word for word.
const cookbookType = `<type image="oem" filesystem="ext3" boot="oemboot/suse-12.1" installstick="true" installboot="install" boottimeout="2">
 <oemconfig>
  <oem-boot-title>OpenNebula Head Node</oem-boot-title>
  <oem-shutdown>true</oem-shutdown>
  <oem-swap>true</oem-swap>
  <oem-swapsize>2048</oem-swapsize>
  <oem-unattended>true</oem-unattended>
 </oemconfig>
</type>`

// described is a description with a type and whatever else.
func described(t *testing.T, typ, more string) (*recipe.Recipe, string, error) {
	t.Helper()
	r, warnings, err := Read(describe(t, map[string]string{"config.xml": `<image schemaversion="5.6" name="head"><preferences><version>1</version>` + typ +
		`<locale>en_US</locale></preferences><users group="root"><user pwd="cloudDemo" pwdformat="plain" home="/root" name="root"/><user name="me"/></users>` + more + `</image>`}), "x.tar")
	return r, strings.Join(warnings, "\n"), err
}

func TestOEM(t *testing.T) {
	r, said, err := described(t, cookbookType, "")
	if err != nil || r.Boot.Title != "OpenNebula Head Node" || r.Boot.Wait != 2 || r.Disk.Swap != "2048MiB" || r.Outputs[0] != "raw" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, want := range []string{"ext3 becomes ext4", "installstick, installboot, oem-shutdown, oem-unattended mean nothing here", "locale of <preferences> is not read", "password of root is plain"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %q", said, want)
		}
	}
	if n := strings.Count(said, "\n") + 1; n != 4 {
		t.Errorf("%d warnings: %s", n, said)
	}
	for _, c := range []struct{ from, to, want string }{
		{"<oem-swap>true</oem-swap>", "", "goes with oem-swap true"},
		{"<oem-swapsize>2048</oem-swapsize>", "", "twice the memory of a machine"},
		{"<oem-shutdown>true</oem-shutdown>", "<oem-recovery>true</oem-recovery>", "oem-recovery of <oemconfig> is not read"},
		{"<oem-shutdown>true</oem-shutdown>", "<oem-resize>false</oem-resize>", "root grows to its disk"},
		{`boottimeout="2"`, `hybrid="true"`, "hybrid of <type> is not read"},
	} {
		if _, said, err := described(t, strings.Replace(cookbookType, c.from, c.to, 1), ""); err != nil || !strings.Contains(said, c.want) {
			t.Errorf("%s: %q, %v", c.to, said, err)
		}
	}
	for _, c := range []struct{ from, to, want string }{
		{"2048", "much", "no number of MiB"}, {"2048", "-1", "no number of MiB"}, {"2048", "99999999999", "no number of MiB"},
		{`"2"`, `"soon"`, "no number of seconds"},
		{`boottimeout="2"`, `luks="secret"`, "encrypted root"},
		{`boottimeout="2"`, `overlayroot="true"`, "root of overlays"},
		{"<oemconfig>", "<systemdisk/><oemconfig>", "several volumes"},
		{"<oemconfig>", "<partitions><partition/></partitions><oemconfig>", "several volumes"},
	} {
		if _, _, err := described(t, strings.Replace(cookbookType, c.from, c.to, 1), ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
}

// TestProfiles: parts of profiles that the description asks for are taken, others told.
func TestProfiles(t *testing.T) {
	r, said, err := described(t, `<type image="tbz"/>`, `<profiles><profile name="kvm" import="true"/><profile name="xen"/></profiles>
 <packages type="image"><package name="all"/><package name="arm" arch="aarch64"/><package name="both" arch="aarch64,x86_64"/><ignore name="vim"/></packages>
 <packages type="image" profiles="kvm"><package name="qemu"/></packages><packages type="image" profiles="xen"><package name="xen"/></packages>
 <users profiles="xen"><user name="dom0"/></users><users><user name="one" home="/var/lib/one" id="500"/></users>`)
	if err != nil || !slices.Equal(r.Packages.Install, []string{"all", "both", "qemu"}) || len(r.Users) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, want := range []string{"the profile xen is not asked for", "ignore vim is not heeded", "home of one is /home/one", "id of <user> is not read"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %q", said, want)
		}
	}
	if _, _, err := described(t, `<type image="tbz"/>`, `<profiles><profile name="$(reboot)" import="true"/></profiles>`); err == nil || !strings.Contains(err.Error(), "no name of a profile") {
		t.Error(err)
	}
}

// TestUnreadIsBounded: a description full of what is not known does not fill the terminal.
func TestUnreadIsBounded(t *testing.T) {
	r, said, err := described(t, `<type image="tbz"/>`, strings.Repeat("<strange/>", 5000))
	if n := strings.Count(said, "\n") + 1; r == nil || err != nil || n > maxUnread+2 || !strings.Contains(said, "not told one by one") {
		t.Errorf("%d, %v", n, err)
	}
}

// TestKernelPackage: Debian's kernel gets its own ramdisk; two are refused.
func TestKernelPackage(t *testing.T) {
	const named = `<package name="openssh-server"/>`
	for more, want := range map[string]string{`<package name="linux-image-cloud-amd64"/>`: "", `<package name="linux-image-amd64"/><package name="linux-image-cloud-amd64"/>`: "two kernels"} {
		dir := describe(t, map[string]string{"config.xml": strings.Replace(guestXML, named, named+more, 1)})
		r, _, err := Read(dir, "")
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		} else if err != nil || r.Kernel != (recipe.Kernel{From: "distribution", Package: "linux-image-cloud-amd64"}) || slices.Contains(r.Packages.Install, "linux-image-cloud-amd64") {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// bashed runs the functions on files below a folder that stands for /.
func bashed(t *testing.T, dir, script string) string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	f := functions
	for _, name := range []string{"/etc/systemd/", "/usr/lib/", "/lib/systemd/", "/etc/init.d/", "/usr/share/", "/etc/inittab", "/run/hearth/"} {
		f = strings.ReplaceAll(f, " "+name, " "+dir+name)
		f = strings.ReplaceAll(f, "\""+name, "\""+dir+name)
	}
	out, err := exec.Command(bash, "-c", f+"\n"+script).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return string(out)
}

func TestUpdateSysConfig(t *testing.T) {
	dir := describe(t, map[string]string{"dhcp": "# DHCLIENT_BIN=x\nDHCLIENT_BIN=\"\"\nOTHER=1\n"})
	out := bashed(t, dir, "baseUpdateSysConfig "+dir+"/dhcp DHCLIENT_BIN 'a & /b\"'\nbaseUpdateSysConfig "+dir+"/dhcp NEW mbr\nbaseUpdateSysConfig /nowhere A b || echo refused\nsuseService x maybe || echo refused\n")
	if strings.Count(out, "refused") != 2 || !strings.Contains(out, "has no NEW, and is left as it is") {
		t.Error(out)
	}
	got, _ := os.ReadFile(filepath.Join(dir, "dhcp"))
	if want := "# DHCLIENT_BIN=x\nDHCLIENT_BIN=\"a & /b\"\"\nOTHER=1\n"; string(got) != want {
		t.Errorf("%q", got)
	}
}

// TestServiceNames: services are found by SUSE's names where they have Debian's.
func TestServiceNames(t *testing.T) {
	dir := describe(t, map[string]string{"lib/systemd/system/ssh.service": "", "lib/systemd/system/nfs-server.service": "", "etc/systemd/system/mine.service": "", "etc/init.d/isc-dhcp-server": ""})
	for link, to := range map[string]string{"etc/systemd/system/sshd.service": "../../../lib/systemd/system/ssh.service", "lib/systemd/system/nfs-kernel-server.service": "nfs-server.service", "etc/systemd/system/masked.service": "/dev/null"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	out := bashed(t, dir, "for n in sshd ssh.service nfsserver nfs-kernel-server dhcpd mine absent libvirtd.socket masked; do hearthService $n; done")
	if got := strings.Join(strings.Fields(out), " "); got != "ssh ssh nfs-server nfs-server isc-dhcp-server mine absent libvirtd.socket masked" {
		t.Error(got)
	}
}

// TestStrip: what is named stays, and so do licences.
func TestStrip(t *testing.T) {
	dir := describe(t, map[string]string{"usr/lib/locale/de_DE.utf8/x": "", "usr/lib/locale/en_US.utf8/x": "", "usr/lib/locale/C.utf8/x": "", "usr/share/doc/a/README": "", "usr/share/doc/a/copyright": "",
		"usr/share/doc-base/x": "", "usr/share/man/man1/a.1": "", "usr/share/info/dir": "", "usr/share/locale/de/a.mo": "", "usr/share/locale/de/kiwi.mo": "", "scrap": ""})
	bashed(t, dir, "baseStripLocales en_US.utf8\nbaseStripDocs\nbaseStripMans\nbaseStripInfos\nbaseStripTranslations kiwi.mo\nRm "+dir+"/scrap\nEcho x\nDebug y\nbaseCleanup\n")
	var left []string
	_ = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			left = append(left, rel)
		}
		return err
	})
	if want := []string{"usr/lib/locale/C.utf8/x", "usr/lib/locale/en_US.utf8/x", "usr/share/doc/a/copyright", "usr/share/locale/de/kiwi.mo"}; !slices.Equal(left, want) {
		t.Errorf("%q", left)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(guestXML)
	f.Add("<image displayname='x'><profiles><profile name='a' import='true'/></profiles><preferences>" + cookbookType + "</preferences></image>")
	f.Add("<image><preferences><type image='tbz'/></preferences></image>")
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if os.WriteFile(filepath.Join(dir, "config.xml"), []byte(text), 0o600) == nil {
			_, _, _ = Read(dir, "x.tar")
		}
	})
}

// TestPipesAreNotWaitedFor: a script that is a pipe is told of, at once.
func TestPipesAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	text := `<image schemaversion="5.0" name="x"><preferences><packagemanager>apt</packagemanager><type image="vmx"/></preferences>` +
		`<repository type="apt-deb" distribution="bookworm"><source path="http://x/debian"/></repository></image>`
	if err := os.WriteFile(filepath.Join(dir, "config.xml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "config.sh"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(dir, ""); err == nil || !strings.Contains(err.Error(), "config.sh is not a file") {
		t.Error(err)
	}
}
