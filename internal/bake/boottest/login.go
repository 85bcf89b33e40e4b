package boottest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"hearth/internal/bake/vm"
)

// sshResult is what came of the attempts to log in, or of one step of them.
type sshResult struct {
	banner string // what the server calls itself
	user   string // who logged in; "" nobody yet
	facts  []string
	err    error // why nobody could; final if the banner was seen often enough
}

// asked is what the guest is asked once somebody is in.
const asked = `. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME"; uname -srm; df -Pk / | tail -1; cat /proc/uptime`

// knock tries to log in until somebody can run commands, and tells its steps. Nothing tells when the
// guest listens: it is tried again every so often.
func (g *guest) knock(ctx context.Context, users []string, k keys, tell func(sshResult)) {
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	seen := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.Exited():
			return
		case <-again.C:
		}
		// slirp takes the connection before the guest does and holds it, so a server
		// that does not speak soon is not there.
		patience := 300*time.Millisecond + time.Since(g.Began)/20
		var last error
		for _, user := range users {
			client, banner, err := g.dial(ctx, user, k, patience)
			if banner != "" && !seen {
				seen = true
				tell(sshResult{banner: banner})
			}
			if last = err; err == nil {
				facts, err := ask(client)
				client.Close()
				if last = err; err == nil {
					tell(sshResult{banner: banner, user: user, facts: facts})
					return
				}
				if other := instead(err.Error()); other != "" && !slices.Contains(users, other) {
					users = slices.Concat([]string{other}, users)
					break
				}
			}
			if banner == "" {
				break
			}
		}
		if seen {
			tell(sshResult{banner: "", err: last})
		}
	}
}

// dial tries once as one user. The banner is "" if no server spoke.
func (g *guest) dial(ctx context.Context, user string, k keys, patience time.Duration) (*ssh.Client, string, error) {
	addr := fmt.Sprintf("127.0.0.1:%d", g.port)
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, "", err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	first := bufio.NewReader(conn)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, "", err
	}
	if b, err := first.Peek(4); err != nil || string(b) != "SSH-" {
		conn.Close()
		return nil, "", fmt.Errorf("no ssh server answered: %w", err)
	}
	b, _ := first.Peek(first.Buffered())
	banner, _, _ := strings.Cut(string(b), "\n")
	if err := conn.SetDeadline(time.Now().Add(20*time.Second + 20*patience)); err != nil {
		return nil, "", err
	}
	c, chans, reqs, err := ssh.NewClientConn(&spoken{conn, first}, addr, &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(k.signers...)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey()}) // the guest has just made its keys; nobody knows them yet
	if err != nil {
		conn.Close()
		return nil, vm.Plain(banner), err
	}
	return ssh.NewClient(c, chans, reqs), vm.Plain(banner), nil
}

// spoken is a connection of which something was read ahead.
type spoken struct {
	net.Conn
	r io.Reader
}

// Read reads what came first, first.
func (s *spoken) Read(p []byte) (int, error) { return s.r.Read(p) }

// ask has the guest say what it is.
func ask(c *ssh.Client) ([]string, error) {
	s, err := c.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	out, err := s.Output(asked)
	said := vm.Plain(strings.TrimSpace(string(out[:min(len(out), 4096)])))
	if err != nil {
		return nil, fmt.Errorf("no command could be run: %w: %s", err, said)
	}
	return strings.Split(said, "\n"), nil
}

// turnedAway is what guests of cloud-init say to those who may not log in, in place of what
// they asked. Source: DISABLE_USER_OPTS of its ssh_util.py.
var turnedAway = regexp.MustCompile(`login as the user "([a-zA-Z_][a-zA-Z0-9_.-]{0,31})" rather than`)

// instead finds who is to log in; "" if nobody is named.
func instead(said string) string {
	if found := turnedAway.FindStringSubmatch(said); found != nil {
		return found[1]
	}
	return ""
}
