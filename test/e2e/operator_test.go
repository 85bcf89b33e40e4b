package e2e

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
)

var shownPassword = regexp.MustCompile(`password, shown once: (\S+)`)

// passwordIn finds the password that a command showed; "" for none.
func passwordIn(out string) string {
	if m := shownPassword.FindStringSubmatch(out); m != nil {
		return m[1]
	}
	return ""
}

// asUser is the environment of a client that logs in with a password.
func (c *theCloud) asUser(user, password, project string) []string {
	return []string{"PATH=/usr/bin:/bin", "HOME=" + c.t.TempDir(), "PYTHONWARNINGS=ignore", "OS_AUTH_URL=" + c.authURL(), "OS_USERNAME=" + user, "OS_PASSWORD=" + password,
		"OS_PROJECT_NAME=" + project, "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default", "OS_IDENTITY_API_VERSION=3"}
}

// TestInitAndReset: init twice, reset, and the admin is recognized by each
// password that was shown last.
func TestInitAndReset(t *testing.T) {
	c := &theCloud{t: t, bin: needE2E(t), data: tempDir(t), process: &process{}}
	c.settings("fake")
	first := passwordIn(c.hearth("init"))
	if first == "" {
		t.Fatal("the first init shows no password")
	}
	if again := passwordIn(c.hearth("init")); again != "" {
		t.Error("the second init made another password")
	}
	t.Cleanup(c.down)
	c.up()
	c.hearth("init")
	const issue = "/usr/bin/openstack"
	c.run(c.asUser("admin", first, "admin"), issue, "token", "issue")
	second := passwordIn(c.hearth("auth", "reset", "admin"))
	c.run(c.asUser("admin", second, "admin"), issue, "token", "issue")
	if out, err := c.try(c.asUser("admin", first, "admin"), issue, "token", "issue"); err == nil || !strings.Contains(out, "401") {
		t.Errorf("the old password still logs in: %v\n%s", err, out)
	}
	// What openrc prints works in a shell, before and after.
	out := must(exec.Command("bash", "-c", "source <(env "+strings.Join(c.conf, " ")+" "+c.bin+" openrc) && PYTHONWARNINGS=ignore openstack token issue -f value -c id").CombinedOutput())(t)
	if len(out) < 20 {
		t.Errorf("token issue: %s", out)
	}
}

// TestRefusedLoginsAreExplained: outside every refusal is the same 401; the
// operator is told why.
func TestRefusedLoginsAreExplained(t *testing.T) {
	c := newCloud(t, "fake")
	c.client("openstack", "user", "create", "--password", "right", "--project", "admin", "known")
	c.client("openstack", "user", "create", "--password", "right", "--disable", "frozen")
	c.client("openstack", "role", "add", "--user", "known", "--project", "admin", "member")
	for _, try := range []struct{ user, password, project, want string }{
		{"known", "wrong", "admin", "wrong password"}, {"nobody", "right", "admin", "unknown user"}, {"frozen", "right", "admin", "user disabled"},
		{"known", "right", "demo", "no role"}, {"known", "right", "nowhere", "unknown scope"},
	} {
		out, err := c.try(c.asUser(try.user, try.password, try.project), "/usr/bin/openstack", "token", "issue")
		if err == nil || !strings.Contains(out, "401") {
			t.Errorf("%s: %v\n%s", try.want, err, out)
		}
		if strings.Contains(strings.ToLower(out), try.want) {
			t.Errorf("a stranger is told %q:\n%s", try.want, out)
		}
		if told := c.hearth("auth", "explain"); !strings.Contains(told, try.want) || !strings.Contains(told, try.user) {
			t.Errorf("hearth auth explain does not say %q of %s:\n%s", try.want, try.user, told)
		}
	}
	if out := c.run(c.asUser("known", "right", "admin"), "/usr/bin/openstack", "token", "issue", "-f", "value", "-c", "id"); len(out) < 20 {
		t.Errorf("the right password: %s", out)
	}
}

// TestQuotaIsWhatIsThere: usage is counted, so a crash cannot make it wrong.
func TestQuotaIsWhatIsThere(t *testing.T) {
	c := newCloud(t, "fake")
	blank := filepath.Join(t.TempDir(), "i.qcow2")
	c.run(nil, "/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", blank, "64M")
	image := c.session().upload("i", "qcow2", blank, nil)
	mine := c.tenant("tenant", "member")
	if n := len(must(servers.ExtractServers(must(servers.List(mine.compute, nil).AllPages(mine.ctx))(t)))(t)); n != 0 {
		t.Fatalf("a new project has %d servers", n)
	}
	network := mine.ownNetwork("n", "10.9.0.0/24")
	var all []*machine
	for _, name := range []string{"a", "b", "c", "d"} {
		m := mine.launch("42", wish{name: name, image: image, network: network})
		all = append(all, m)
		if name == "b" {
			mine.ready(m)
			mine.ready(all[0])
		}
	}
	c.kill() // two are made, two may be half made
	c.up()
	for _, m := range all {
		mine.ready(m)
	}
	mine.remove(all[0])
	id := must(projects.List(c.session().identity, projects.ListOpts{Name: "tenant"}).AllPages(mine.ctx))(t)
	found := must(projects.ExtractProjects(id))(t)
	q := must(quotasets.GetDetail(mine.ctx, c.session().compute, found[0].ID).Extract())(t)
	if q.Instances.InUse != 3 || q.Cores.InUse != 3 || q.RAM.InUse != 3*192 {
		t.Errorf("of 3 servers the quota counts %d instances, %d cores, %d MB", q.Instances.InUse, q.Cores.InUse, q.RAM.InUse)
	}
	c.fsck()
}

// TestStaticBinary shows that the binary needs nothing of the system it is on:
// it runs in a directory that holds nothing else.
func TestStaticBinary(t *testing.T) {
	bin := needE2E(t)
	f := must(elf.Open(bin))(t)
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %s: it is not linked statically", p.Type)
		}
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &theCloud{t: t, bin: bin, data: "/data", process: &process{}}
	c.settings("fake")
	body := must(os.ReadFile(bin))(t)
	if err := os.WriteFile(filepath.Join(root, "hearth"), body, 0o755); err != nil {
		t.Fatal(err)
	}
	inside := func(args ...string) string {
		t.Helper()
		return c.run(c.conf, "/usr/sbin/chroot", append([]string{root, "/hearth"}, args...)...)
	}
	up := exec.Command("/usr/sbin/chroot", root, "/hearth", "up")
	up.Env = c.conf
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { inside("down"); _ = up.Wait() }()
	inside("wait", "ready", "--timeout", "30s")
	if out := inside("openrc"); !strings.Contains(out, "OS_PASSWORD=") {
		t.Errorf("openrc in an empty root directory: %s", out)
	}
	if out := inside("fsck"); !strings.Contains(out, "0 findings") {
		t.Errorf("fsck in an empty root directory: %s", out)
	}
}
