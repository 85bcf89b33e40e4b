package selinux

import (
	"testing"

	"hearth/internal/disk/guestfs/guestfstest"
)

const contexts = `
/.*	system_u:object_r:default_t:s0
/[^/]+	--	system_u:object_r:etc_runtime_t:s0
/a?quota\.(user|group)	--	system_u:object_r:quota_db_t:s0
/etc/.*	system_u:object_r:etc_t:s0
/opt/.*	system_u:object_r:usr_t:s0
/root(/.*)?	system_u:object_r:admin_home_t:s0
/usr/(.*/)?bin(/.*)?	system_u:object_r:bin_t:s0
/usr/lib/.*	system_u:object_r:lib_t:s0
/etc/ssh/ssh_host.*_key	--	system_u:object_r:sshd_key_t:s0
/etc/machine-id	--	system_u:object_r:machineid_t:s0
/etc/NetworkManager(/.*)?	system_u:object_r:NetworkManager_etc_t:s0
/sys(/.*)?	<<none>>
/bad(	system_u:object_r:never_t:s0
`

var guest = guestfstest.Files{
	"/etc/selinux/config":                                          "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
	"/etc/selinux/targeted/contexts/files/file_contexts":           contexts,
	"/etc/selinux/targeted/contexts/files/file_contexts.homedirs":  "/home/[^/]+/\\.ssh(/.*)?\tunconfined_u:object_r:ssh_home_t:s0\n/home/[^/]+\t-d\tunconfined_u:object_r:user_home_dir_t:s0\n/root/\\.ssh(/.*)?\tsystem_u:object_r:ssh_home_t:s0\n",
	"/etc/selinux/targeted/contexts/files/file_contexts.local":     "/opt/web(/.*)?\tsystem_u:object_r:httpd_sys_content_t:s0\n",
	"/etc/selinux/targeted/contexts/files/file_contexts.subs_dist": "/usr/lib64 /usr/lib\n",
}

func TestLabel(t *testing.T) {
	p, present := Load(guest)
	if p == nil || !present {
		t.Fatal("there is no policy")
	}
	const file, folder = 0o100644, 0o40755
	for name, want := range map[string]string{
		"/root/.ssh/authorized_keys": "ssh_home_t", "/root/x": "admin_home_t", "/home/ann/.ssh/authorized_keys": "ssh_home_t", "/etc/ssh/ssh_host_rsa_key": "sshd_key_t",
		"/etc/ssh/ssh_host_rsa_key.pub": "etc_t", "/etc/machine-id": "machineid_t", "/etc/NetworkManager/system-connections/a.nmconnection": "NetworkManager_etc_t",
		"/usr/local/bin/x": "bin_t", "/usr/bin": "bin_t", "/usr/lib64/x.so": "lib_t", "/opt/web/index.html": "httpd_sys_content_t", "/opt/other": "usr_t",
		"/quota.user": "quota_db_t", "/.autorelabel": "etc_runtime_t", "/srv/x": "default_t", "/sys/x": "",
	} {
		got := p.Label(name, file)
		if want != "" {
			want = ":object_r:" + want + ":s0"
		}
		if want == "" && got != "" || want != "" && (len(got) < len(want) || got[len(got)-len(want):] != want) {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	if got := p.Label("/home/ann", folder); got != "unconfined_u:object_r:user_home_dir_t:s0" {
		t.Errorf("a home has %q", got)
	}
	if got := p.Label("/home/ann", file); got != "system_u:object_r:default_t:s0" {
		t.Errorf("a file in place of a home has %q", got)
	}
}

func TestLoad(t *testing.T) {
	for _, tt := range []struct {
		guest   guestfstest.Files
		present bool
	}{{guestfstest.Files{}, false}, {guestfstest.Files{"/etc/selinux/config": "SELINUX=disabled\nSELINUXTYPE=targeted\n"}, false},
		{guestfstest.Files{"/etc/selinux/config": "SELINUX=permissive\nSELINUXTYPE=targeted\n"}, true}, {guestfstest.Files{"/etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=../x\n"}, false}} {
		if p, present := Load(tt.guest); p != nil || present != tt.present {
			t.Errorf("%v: %v, %v", tt.guest, p, present)
		}
	}
}

// FuzzLabel: no policy makes it fail.
func FuzzLabel(f *testing.F) {
	f.Add(contexts, "/etc/passwd")
	f.Fuzz(func(t *testing.T, text, name string) {
		p := &Policy{}
		p.read(text)
		p.Label(name, 0o100000)
	})
}
