package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testGuest makes a system in a folder with one user.
func testGuest(t *testing.T, conf string) (*guest, *bytes.Buffer) {
	t.Helper()
	root, console := t.TempDir(), &bytes.Buffer{}
	for name, text := range map[string]string{
		"etc/passwd":            "root:x:0:0:root:/root:/bin/sh\nember:x:1000:1000::/home/ember:/bin/sh\n",
		"etc/hosts":             "127.0.0.1\tlocalhost\n127.0.1.1\told\n",
		"etc/hearth-guest.conf": conf,
	} {
		os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return newGuest(root, console), console
}

func (g *guest) content(rel string) string {
	b, err := os.ReadFile(g.path(rel))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func serve(t *testing.T, h http.HandlerFunc) address {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return addressOf(t, s.Listener)
}

func addressOf(t *testing.T, l net.Listener) address {
	t.Helper()
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return address{AddrPort: at}
}

// TestAskServiceByIPv6 asks at an address of IPv6, as a guest of a network has it
// where there is no other.
func TestAskServiceByIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("this host has no IPv6: %v", err)
	}
	host := ""
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host = r.Host
		if r.URL.Path != "/openstack/latest/meta_data.json" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, meta)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	i, err := askService(addressOf(t, l))
	if err != nil || i.UUID != "u-1" || host != "[::1]" {
		t.Errorf("%+v, %v; asked %q", i, err, host)
	}
}

// TestServices lists where metadata may be: IPv6 has it behind each card.
func TestServices(t *testing.T) {
	g, _ := testGuest(t, "")
	for name, index := range map[string]string{"lo": "1", "eth0": "2", "eth1": "3", "broken": "x"} {
		if err := g.writeFile("sys/class/net/"+name+"/ifindex", []byte(index+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, at := range g.services() {
		got = append(got, fmt.Sprintf("%s card %d", at.AddrPort, at.card))
	}
	want := "169.254.169.254:80 card 0,[fe80::a9fe:a9fe]:80 card 2,[fe80::a9fe:a9fe]:80 card 3"
	if strings.Join(got, ",") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

const meta = `{"uuid":"u-1","name":"vm1","hostname":"vm1.cloud","public_keys":{"b":"ssh-rsa B\n","a":"ssh-ed25519 A","evil":"x\ny"}}`

func TestAskService(t *testing.T) {
	tests := []struct {
		name, meta, data string
		dataStatus       int
		fails            string
	}{
		{"all", meta, "#!/bin/sh\n", 200, ""},
		{"no user-data", meta, "", 404, ""},
		{"user-data fails", meta, "", 500, "user_data: status 500"},
		{"no uuid", `{}`, "", 404, "no uuid"},
		{"no JSON", `<html>`, "", 404, "meta_data.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/openstack/latest/meta_data.json":
					io.WriteString(w, tt.meta)
				case "/openstack/latest/user_data":
					w.WriteHeader(tt.dataStatus)
					io.WriteString(w, tt.data)
				}
			})
			i, err := askService(at)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("error %v, want %q", err, tt.fails)
				}
				return
			}
			if err != nil || i.UUID != "u-1" || i.Hostname != "vm1.cloud" || string(i.UserData) != tt.data {
				t.Errorf("%+v, %v", i, err)
			}
			if got := strings.Join(i.publicKeys(), ","); got != "ssh-ed25519 A,ssh-rsa B" {
				t.Errorf("keys %q", got)
			}
		})
	}
}

func TestParseAnswer(t *testing.T) {
	for _, bad := range []string{"", "HTTP/1.0 200 OK", "SSH-2.0-x\r\n\r\n", "HTTP/1.0 abc\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nshort"} {
		if _, _, err := parseAnswer([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestApply(t *testing.T) {
	g, console := testGuest(t, "user=ember\nroot_keys=yes\n")
	i, err := parseInstance([]byte(meta))
	if err != nil {
		t.Fatal(err)
	}
	i.UserData = []byte("#!/bin/sh\necho ran >>" + g.path("ran") + "\n")
	g.writeFile("etc/dropbear/dropbear_rsa_host_key", []byte("of the image"), 0o600)
	g.writeFile("home/ember/.ssh/authorized_keys", []byte("ssh-ed25519 MINE"), 0o600)
	for range 2 { // the second is a reboot
		g.apply(i)
		g.runUserData()
	}
	for rel, want := range map[string]string{
		"etc/hostname":                     "vm1\n",
		"etc/hosts":                        "127.0.1.1\tvm1.cloud vm1\n127.0.0.1\tlocalhost\n",
		"home/ember/.ssh/authorized_keys":  "ssh-ed25519 MINE\nssh-ed25519 A\nssh-rsa B\n",
		"root/.ssh/authorized_keys":        "ssh-ed25519 A\nssh-rsa B\n",
		"var/lib/hearth-guest/instance-id": "u-1\n",
		"ran":                              "ran\n",
	} {
		if got := g.content(rel); got != want {
			t.Errorf("%s holds %q, want %q\n%s", rel, got, want, console)
		}
	}
	if _, err := os.Stat(g.path("etc/dropbear/dropbear_rsa_host_key")); err == nil {
		t.Error("the image's host key is still there")
	}
	// A clone of this disk is another instance: it runs its user-data and has other keys.
	g.writeFile("etc/ssh/ssh_host_ed25519_key", []byte("of the first"), 0o600)
	i.UUID = "u-2"
	g.apply(i)
	g.runUserData()
	if got := g.content("ran"); got != "ran\nran\n" {
		t.Errorf("the clone's user-data: %q", got)
	}
	if _, err := os.Stat(g.path("etc/ssh/ssh_host_ed25519_key")); err == nil {
		t.Error("the clone has the first one's host key")
	}
}

// keygen is an ssh-keygen that makes of -t KIND and -f FILE two files, notes what it was
// called with, and knows not all kinds.
const keygen = `#!/bin/sh
echo "$*" >>"$ROOT/called"
[ "$1" = -A ] && { echo all >"$ROOT/etc/ssh/ssh_host_rsa_key"; exit; }
[ "$1" = -l ] && { echo "256 SHA256:x root@vm (${5##*ssh_host_})"; exit; }
case $KNOWS in *" $3 "*) ;; *) echo "unknown key type $3" >&2; exit 255 ;; esac
echo "private $3" >"$7"; echo "public $3" >"$7.pub"
`

// TestOpenSSHKeys: a boot makes the quick types, whole or not at all, and the slow one comes
// later; a server that knows none of the quick ones makes what it does.
func TestOpenSSHKeys(t *testing.T) {
	for _, tt := range []struct{ name, knows, boot, late string }{
		{"all", " rsa ecdsa ed25519 ", "ecdsa_key ecdsa_key.pub ed25519_key ed25519_key.pub", "ecdsa_key ecdsa_key.pub ed25519_key ed25519_key.pub rsa_key rsa_key.pub"},
		{"no ed25519", " rsa ecdsa ", "ecdsa_key ecdsa_key.pub", "ecdsa_key ecdsa_key.pub rsa_key rsa_key.pub"},
		{"neither", " rsa ", "rsa_key", "rsa_key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, console := testGuest(t, "")
			t.Setenv("ROOT", g.root)
			t.Setenv("KNOWS", tt.knows)
			g.writeFile("usr/bin/ssh-keygen", []byte(keygen), 0o755)
			g.writeFile("etc/ssh/ssh_host_ecdsa_key", nil, 0o600) // a boot was cut off
			g.writeFile("etc/ssh/ssh_host_ed25519_key.new", []byte("half"), 0o600)
			have := func() string {
				var list []string
				found, _ := filepath.Glob(g.path("etc/ssh/ssh_host_*_key*"))
				for _, f := range found {
					if st, err := os.Stat(f); err == nil && st.Size() > 0 {
						list = append(list, strings.TrimPrefix(filepath.Base(f), "ssh_host_"))
					}
				}
				return strings.Join(list, " ")
			}
			g.apply(&instance{})
			if got := have(); got != tt.boot {
				t.Errorf("after boot: %s, want %s\n%s", got, tt.boot, console)
			}
			if err := g.makeHostKeys(slowTypes); err != nil || have() != tt.late {
				t.Errorf("after all: %v, %s, want %s", err, have(), tt.late)
			}
		})
	}
}

// TestHostKeysShown: those that a boot has made are shown before the slow one is there.
func TestHostKeysShown(t *testing.T) {
	g, console := testGuest(t, "")
	t.Setenv("ROOT", g.root)
	t.Setenv("KNOWS", " rsa ecdsa ed25519 ")
	g.writeFile("usr/bin/ssh-keygen", []byte(keygen), 0o755)
	g.writeFile("etc/ssh/sshd_config", nil, 0o644)
	g.apply(&instance{})
	g.late()
	calls := strings.Split(strings.ReplaceAll(strings.TrimSpace(g.content("called")), g.root, ""), "\n")
	var order []string
	for _, c := range calls {
		f := strings.Fields(c)
		order = append(order, f[0]+" "+strings.TrimPrefix(filepath.Base(f[len(f)-1]), "ssh_host_"))
	}
	want := "-q ecdsa_key.new,-q ed25519_key.new,-l ecdsa_key.pub,-l ed25519_key.pub,-q rsa_key.new,-l rsa_key.pub"
	if got := strings.Join(order, ","); got != want {
		t.Errorf("%s, want %s\n%s", got, want, console)
	}
	if n := strings.Count(console.String(), "host key"); n != 3 {
		t.Errorf("%d keys are shown:\n%s", n, console)
	}
}

// TestShownBySSH: one line of a key is what 'hearth server ssh' looks for on the console.
func TestShownBySSH(t *testing.T) {
	for out, want := range map[string]string{
		"256 SHA256:5Vn2 root@larry (ED25519)\n":      "ed25519 SHA256:5Vn2",
		"3072 SHA256:abc no comment at all (RSA)\n":   "rsa SHA256:abc",
		"/etc/ssh/x is not a public key file.\n"[:12]: "unknown",
		"": "unknown",
	} {
		if got := shownBySSH(out); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
}

func TestWithoutMetadataNothingChanges(t *testing.T) {
	g, _ := testGuest(t, "")
	g.writeFile("etc/dropbear/dropbear_rsa_host_key", []byte("mine"), 0o600)
	g.apply(&instance{})
	if got := g.content("etc/dropbear/dropbear_rsa_host_key"); got != "mine" {
		t.Errorf("host key %q", got)
	}
	if g.conf.User != "root" {
		t.Errorf("user %q", g.conf.User)
	}
}

func TestUserDataThatIsNoScript(t *testing.T) {
	g, console := testGuest(t, "")
	if err := g.storeUserData([]byte("#cloud-config\n")); err != nil {
		t.Fatal(err)
	}
	g.runUserData()
	if !strings.Contains(console.String(), `begins with "#cloud-config"`) || strings.Contains(console.String(), "running") {
		t.Errorf("console: %s", console)
	}
}

func TestReadDrive(t *testing.T) {
	dir := t.TempDir()
	if _, err := readDrive(dir); err == nil {
		t.Error("an empty drive was taken")
	}
	os.MkdirAll(filepath.Join(dir, latest), 0o755)
	os.WriteFile(filepath.Join(dir, latest, "meta_data.json"), []byte(meta), 0o644)
	if i, err := readDrive(dir); err != nil || i.UUID != "u-1" || i.UserData != nil {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestIsConfigVolume(t *testing.T) {
	head := make([]byte, 72)
	copy(head, "\x01CD001\x01")
	copy(head[40:], fmt.Sprintf("%-32s", "CONFIG-2"))
	if !isConfigVolume(head) || isConfigVolume(head[:50]) || isConfigVolume(make([]byte, 72)) {
		t.Error("the label is not read right")
	}
}

func TestSensibleHostname(t *testing.T) {
	for name, want := range map[string]bool{"vm1": true, "vm1.a-b.c": true, "": false, "-x": false, "a b": false, "a\nb": false, "ü": false, strings.Repeat("a", 254): false} {
		if sensibleHostname(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestSudoArgs(t *testing.T) {
	tests := []struct {
		args  string
		shell bool
		rest  string
		fails bool
	}{
		{"id -u", false, "id -u", false},
		{"-n id", false, "id", false},
		{"-i", true, "", false},
		{"-i id -u", true, "-c|id -u", false},
		{"-u root -- ls", false, "ls", false},
		{"-u nobody ls", false, "", true},
		{"-x", false, "", true},
		{"", false, "", true},
		{"-n", false, "", true},
	}
	for _, tt := range tests {
		shell, rest, err := sudoArgs(strings.Fields(tt.args))
		got := strings.Join(rest, " ")
		if tt.shell && len(rest) > 0 {
			got = strings.Join(rest, "|")
		}
		if (err != nil) != tt.fails || err == nil && (shell != tt.shell || got != tt.rest) {
			t.Errorf("sudo %s: %v %q %v", tt.args, shell, got, err)
		}
	}
}

func TestRootDevice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mountinfo")
	os.WriteFile(file, []byte("1 1 0:2 / / rw - rootfs rootfs rw\n22 1 254:1 / / rw,relatime - ext4 /dev/root rw\n23 22 0:21 / /proc rw - proc proc rw\n"), 0o644)
	dev, kind, err := rootDevice(file)
	if dev != "254:1" || kind != "ext4" || err != nil {
		t.Errorf("%s %s %v", dev, kind, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte(meta))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseAnswer(b)
		if i, err := parseInstance(b); err == nil {
			for _, k := range i.publicKeys() {
				if strings.ContainsAny(k, "\r\n") {
					t.Errorf("key %q", k)
				}
			}
		}
	})
}

// TestTheSearchGoesOn: the cloud was down while this guest booted.
func TestTheSearchGoesOn(t *testing.T) {
	g, console := testGuest(t, "user=ember\n")
	i, err := parseInstance([]byte(meta))
	if err != nil {
		t.Fatal(err)
	}
	i.UserData = []byte("#!/bin/sh\necho ran >>" + g.path("ran") + "\n")
	g.writeFile(unfoundFile, nil, 0o600)
	g.writeFile("etc/ssh/ssh_host_ed25519_key", []byte("the running server's"), 0o600)
	tries := 0
	g.look = func() (*instance, error) {
		if tries++; tries == 1 {
			return nil, errors.New("no route")
		}
		return i, nil
	}
	for range 2 { // the second has nothing to do
		g.findLate()
		g.runUserData()
	}
	for rel, want := range map[string]string{
		"etc/hostname": "vm1\n", "home/ember/.ssh/authorized_keys": "ssh-ed25519 A\nssh-rsa B\n", "var/lib/hearth-guest/instance-id": "u-1\n",
		"ran": "ran\n", "etc/ssh/ssh_host_ed25519_key": "the running server's",
	} {
		if got := g.content(rel); got != want {
			t.Errorf("%s holds %q, want %q\n%s", rel, got, want, console)
		}
	}
	if tries != 2 {
		t.Errorf("%d tries", tries)
	}
}
