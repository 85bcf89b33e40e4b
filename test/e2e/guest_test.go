package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyPair makes an ssh key and gives the file of its public half.
func keyPair(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	block, err := ssh.MarshalPrivateKey(priv, "e2e")
	if err != nil {
		t.Fatal(err)
	}
	private, public := filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "id_ed25519.pub")
	if err := os.WriteFile(private, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(public, ssh.MarshalAuthorizedKey(sshPub), 0o600); err != nil {
		t.Fatal(err)
	}
	return signer, public
}

// login is an ssh connection to a guest.
type login struct {
	t      *testing.T
	client *ssh.Client
}

// sshTo logs in, trying until the guest lets it or patience ends.
func sshTo(t *testing.T, user, address string, key ssh.Signer) *login {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config := &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, Timeout: 20 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the guest made its keys a moment ago
	}
	target := net.JoinHostPort(address, "22")
	var last error
	for tick := time.NewTicker(250 * time.Millisecond); ; {
		client, err := dialSSH(ctx, target, config)
		if err == nil {
			t.Cleanup(func() { client.Close() })
			return &login{t: t, client: client}
		}
		last = err
		select {
		case <-ctx.Done():
			t.Fatalf("no login as %s at %s: %v", user, target, last)
		case <-tick.C:
		}
	}
}

func dialSSH(ctx context.Context, target string, config *ssh.ClientConfig) (*ssh.Client, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(slowly(30 * time.Second)))
	c, chans, reqs, err := ssh.NewClientConn(conn, target, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, chans, reqs), nil
}

// run runs a command in the guest.
func (l *login) run(command string) string {
	l.t.Helper()
	out, err := l.try(command)
	if err != nil {
		l.t.Fatalf("in the guest: %s: %v\n%s", command, err, out)
	}
	return out
}

func (l *login) try(command string) (string, error) {
	session, err := l.client.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	out, err := session.CombinedOutput(command)
	return strings.TrimSpace(string(out)), err
}

// open tells whether a TCP port of an address lets one connect within a while.
func open(address string, port int) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, fmt.Sprint(port)), 3*time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
