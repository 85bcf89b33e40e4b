package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginPatience is how long a guest may take to let one in, under emulation on
// a busy machine.
const loginPatience = 4 * time.Minute

// login tries ssh until the guest lets it in.
func (d *demo) login(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, loginPatience)
	defer cancel()
	config := &ssh.ClientConfig{
		User: "ember", Auth: []ssh.AuthMethod{ssh.PublicKeys(d.guest.signer)}, Timeout: 20 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the guest has just made its keys; nobody knows them yet
	}
	tick := time.NewTicker(100 * time.Millisecond) // nothing tells when a guest's port opens
	defer tick.Stop()
	for {
		client, err := dialGuest(ctx, net.JoinHostPort(d.guest.address, "22"), config)
		if err == nil {
			d.guest.client = client
			return d.command("echo $(hostname), $(uname -sr), up $(cut -d' ' -f1 /proc/uptime) s")
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w; 'hearth explain server %s' shows where its log is", err, d.guest.name)
		case <-tick.C:
		}
	}
}

func dialGuest(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c, chans, reqs, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, chans, reqs), nil
}

// command runs a command in the guest and gives its output.
func (d *demo) command(line string) (string, error) {
	session, err := d.guest.client.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	out, err := session.CombinedOutput(line)
	return strings.TrimSpace(string(out)), err
}

// checks looks around in the guest. What fails is shown and ends nothing.
func (d *demo) checks() {
	for _, c := range []struct{ name, line string }{
		{"root disk", "df -h / | tail -1"},
		{"user-data ran", "cat /tmp/user-data"},
		{"ping the gateway", "sudo ping -c 1 -W 3 $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p' | head -1) | tail -1"},
		{"name server answers", "nslookup " + demoName + " | tail -2 | tr '\\n' ' '"},
		{"ping the host", "sudo ping -c 1 -W 3 " + hostAddress(d.cfg.Network.PublicCIDR) + " | tail -1"},
		{"ping the Internet (9.9.9.9)", "sudo ping -c 1 -W 3 9.9.9.9 | tail -1"},
	} {
		if why := noForwarding(); why != "" && strings.Contains(c.name, "Internet") {
			d.add(demoStep{Name: c.name, Skipped: true, Detail: why + d.cfg.Network.PublicCIDR})
			continue
		}
		start := time.Now()
		out, err := d.command("set -o pipefail; " + c.line)
		detail := strings.Join(strings.Fields(out), " ")
		if err != nil && strings.Contains(c.name, "Internet") {
			detail += " (guests reach it when this host forwards and masquerades for " + d.cfg.Network.PublicCIDR + ")"
		}
		d.note(c.name, start, err == nil, detail)
	}
}

// noForwarding tells, on a host that hands no packets on, that guests cannot
// reach the Internet, and what lets them; the network to name follows. Hearth
// itself does not touch the host's own network.
func noForwarding() string {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil || strings.TrimSpace(string(b)) != "0" {
		return ""
	}
	return "not tried: this host does not forward IPv4 (net.ipv4.ip_forward=0); to let guests out, sysctl net.ipv4.ip_forward=1 and masquerade "
}

// hostAddress is the first address of a block: where the host is on the network
// public.
func hostAddress(cidr string) string {
	_, block, err := net.ParseCIDR(cidr)
	if err != nil {
		return ""
	}
	ip := block.IP.To4()
	ip[3]++
	return ip.String()
}

// cleanUp takes everything of the demo away, and the cloud down.
func (d *demo) cleanUp(ctx context.Context) error {
	if d.guest.client != nil {
		d.guest.client.Close()
	}
	var err error
	if d.guest.compute != nil && d.guest.network != nil {
		err = d.removeOld(ctx)
	}
	if e := stopRunning(ctx, d.cfg); e != nil {
		return errors.Join(err, e)
	}
	return errors.Join(err, takeDown(ctx, d.cfg, d.log))
}
