package incloud

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// machine is an ssh server that runs what it is told with sh, in this process's own
// machine, and gives a client of it.
func machine(t *testing.T) *ssh.Client {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conf := &ssh.ServerConfig{NoClientAuth: true}
	conf.AddHostKey(signer)
	go func() {
		theirs, err := l.Accept()
		if err != nil {
			return
		}
		_, channels, requests, err := ssh.NewServerConn(theirs, conf)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for c := range channels {
			channel, asked, err := c.Accept()
			if err != nil {
				return
			}
			go serve(channel, asked)
		}
	}()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(ours, "machine", &ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	client := ssh.NewClient(c, channels, requests)
	t.Cleanup(func() { client.Close() })
	return client
}

func serve(channel ssh.Channel, asked <-chan *ssh.Request) {
	defer channel.Close()
	for r := range asked {
		if r.Type != "exec" {
			continue
		}
		var command struct{ Line string }
		_ = ssh.Unmarshal(r.Payload, &command)
		_ = r.Reply(true, nil)
		cmd := exec.Command("sh", "-c", command.Line)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
		var status struct{ Code uint32 }
		var ended *exec.ExitError
		if err := cmd.Run(); errors.As(err, &ended) {
			status.Code = uint32(ended.ExitCode())
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
		return
	}
}

// oven is a hearth that bakes by copying: it tells what it was called with and sees.
const oven = `#!/bin/sh -e
[ "$1 $2" = "bake run" ]; recipe=$3; shift 3
echo "flags: $*" >&2
if [ -e until ]; then # the bake goes on when what it said was heard
	i=0
	while [ ! -e "$(cat until)" ]; do i=$((i+1)); [ $i -lt 300 ] || exit 4; sleep 0.1; done
fi
[ ! -e fail ] || { echo "it went wrong" >&2; exit 3; }
while [ "$1" != -o ]; do shift; done; out=$2
find . -type f | sort | xargs stat -c '%a %n' >"$out/web.qcow2"
cat "big" >"$out/web.raw"
mkdir "$out/web.boot-test"
echo "locked" >web.lock
echo other >other.txt
printf '{"Disk":"%s/web.qcow2","RawDisk":"%s/web.raw","Lock":"%s/web.lock","User":"ember","Layers":[{"name":"base","status":"built"}]}' "$out" "$out" "$PWD"
`

func job(t *testing.T) Job {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"hearth": oven, "r/web.yaml": "name: web\n", "r/web.qcow2": "of an earlier bake", "r/etc/motd": "it's mine", "r/big": strings.Repeat("x", large)} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "r/etc/motd"), 0o751), os.Chmod(filepath.Join(dir, "r/big"), 0o640), os.Symlink("motd", filepath.Join(dir, "r/etc/link"))); err != nil {
		t.Fatal(err)
	}
	return Job{Hearth: filepath.Join(dir, "hearth"), Name: "web", Dir: filepath.Join(dir, "r"), Recipe: "web.yaml", OutDir: filepath.Join(dir, "r"), Flags: []string{"--locked", "it's"}}
}

// TestBake sends, bakes and fetches, twice: what is large is sent once.
func TestBake(t *testing.T) {
	b := &Builder{Client: machine(t), Dir: filepath.Join(t.TempDir(), "a folder")}
	j := job(t)
	for i, sent := range []int{2, 0} {
		var said bytes.Buffer
		j.Tell = &said
		res, err := b.Bake(context.Background(), j)
		if err != nil {
			t.Fatal(err, said.String())
		}
		if got := strings.Count(said.String(), "goes to the builder"); got != sent {
			t.Errorf("bake %d: %d files were sent, want %d:\n%s", i, got, sent, said.String())
		}
		if !strings.Contains(said.String(), "--boot-test=false --json --locked it's") {
			t.Error(said.String())
		}
		if res.Disk != filepath.Join(j.OutDir, "web.qcow2") || res.Lock != filepath.Join(j.Dir, "web.lock") || res.User != "ember" || len(res.Layers) != 1 {
			t.Errorf("%+v", res)
		}
		disk, _ := os.ReadFile(res.Disk)
		want := "640 ./big\n751 ./etc/motd\n600 ./web.yaml\n"
		if i == 1 {
			want = "640 ./big\n751 ./etc/motd\n644 ./web.lock\n600 ./web.yaml\n"
		}
		if string(disk) != want {
			t.Errorf("the builder saw\n%s", disk)
		}
		if raw, _ := os.ReadFile(res.RawDisk); len(raw) != large {
			t.Errorf("the raw disk has %d bytes", len(raw))
		}
		if lock, _ := os.ReadFile(res.Lock); string(lock) != "locked\n" {
			t.Errorf("the lock is %q", lock)
		}
		if _, err := os.Stat(filepath.Join(j.Dir, "other.txt")); err == nil {
			t.Error("more than the lock came back to the recipe")
		}
		if _, err := os.Stat(filepath.Join(b.Dir, "run")); err == nil {
			t.Error("the bake's folder is left on the volume")
		}
	}
}

// listener makes a file when it hears something.
type listener string

func (l listener) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("flags:")) {
		return len(p), os.WriteFile(string(l), nil, 0o600)
	}
	return len(p), nil
}

// TestLiveLog: what a builder says is heard while it bakes.
func TestLiveLog(t *testing.T) {
	b, j := &Builder{Client: machine(t), Dir: filepath.Join(t.TempDir(), "c")}, job(t)
	heard := filepath.Join(t.TempDir(), "heard")
	if err := os.WriteFile(filepath.Join(j.Dir, "until"), []byte(heard), 0o600); err != nil {
		t.Fatal(err)
	}
	j.Tell = listener(heard)
	if _, err := b.Bake(context.Background(), j); err != nil {
		t.Fatal(err)
	}
}

// TestBakeFails tells the builder's own words, which came as they were said.
func TestBakeFails(t *testing.T) {
	b, j := &Builder{Client: machine(t), Dir: filepath.Join(t.TempDir(), "c")}, job(t)
	if err := os.WriteFile(filepath.Join(j.Dir, "fail"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	j.Tell = &said
	if _, err := b.Bake(context.Background(), j); err == nil || !strings.Contains(said.String(), "it went wrong") {
		t.Errorf("%v: %s", err, said.String())
	}
	j.Volume = "no-such-disk"
	if _, err := b.Bake(context.Background(), j); err == nil || !strings.Contains(err.Error(), "no disk has the serial number no-such-disk") {
		t.Error(err)
	}
}

// TestStrangersArchive: a builder's root is the recipe's, and may send anything.
func TestStrangersArchive(t *testing.T) {
	for _, h := range []tar.Header{{Name: "../web.json", Typeflag: tar.TypeReg}, {Name: "/etc/passwd", Typeflag: tar.TypeReg}, {Name: "web.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, {Name: ".ssh", Typeflag: tar.TypeDir}, {Name: "..", Typeflag: tar.TypeReg}} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		_ = w.WriteHeader(&h)
		_ = w.Close()
		dir := t.TempDir()
		err := unpack(context.Background(), io.Reader(&b), func(name string) string { return filepath.Join(dir, name) })
		if left, _ := os.ReadDir(dir); err == nil || len(left) > 0 {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
}
