package boottest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hearth/internal/bake/vm"
)

// cloudInit is an ssh server as cloud-init's Debian sets one up: root may come in, but is
// told who else is to, whatever he asks; with 142.
func cloudInit(t *testing.T, k ssh.Signer) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conf := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, _ ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != "root" && c.User() != "debian" {
			return nil, io.EOF
		}
		return nil, nil
	}}
	conf.AddHostKey(k)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				c, channels, requests, err := ssh.NewServerConn(conn, conf)
				if err != nil {
					return
				}
				go ssh.DiscardRequests(requests)
				for open := range channels {
					channel, asked, err := open.Accept()
					if err != nil {
						return
					}
					for r := range asked {
						_ = r.Reply(true, nil)
						if r.Type != "exec" {
							continue
						}
						text, status := "Debian GNU/Linux 12\nLinux 6.1\n", struct{ Code uint32 }{}
						if c.User() == "root" {
							text, status.Code = "Please login as the user \"debian\" rather than the user \"root\".\n\n", 142
						}
						_, _ = io.WriteString(channel, text)
						_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
						channel.Close()
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// TestKnockAsAnother: of an image that could not be read nobody knows who logs in, but the
// guest says it when it turns root away.
func TestKnockAsAnother(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{Guest: &vm.Guest{Began: time.Now()}, port: cloudInit(t, signer)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var heard []sshResult
	g.knock(ctx, []string{"cloud-user", "root"}, keys{signers: []ssh.Signer{signer}}, func(r sshResult) { heard = append(heard, r) })
	last := heard[max(0, len(heard)-1)]
	if last.user != "debian" || last.err != nil || len(last.facts) != 2 {
		t.Errorf("%+v", heard)
	}
	for said, want := range map[string]string{`Please login as the user "NONE" rather than`: "NONE", `as the user "-o x"`: "", "": "", "rather than the user \"root\"": ""} {
		if got := instead(said); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
	if len(heard) > 1 && !strings.HasPrefix(heard[0].banner, "SSH-") {
		t.Errorf("%+v", heard[0])
	}
}
