package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// The forms in which guests show the fingerprints of their host keys on the
// console: Hearth's agent a line each, cloud-init a block of ssh-keygen's lines.
var (
	agentKey  = regexp.MustCompile(`hearth-guest: host key \S+ (SHA256:[A-Za-z0-9+/]{43})`)
	initBlock = regexp.MustCompile(`(?s)-----BEGIN SSH HOST KEY FINGERPRINTS-----(.*?)-----END SSH HOST KEY FINGERPRINTS-----`)
	initKey   = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`)
)

// hostKeysShown lists the fingerprints of host keys in a console log.
func hostKeysShown(console string) (shown []string) {
	for _, m := range agentKey.FindAllStringSubmatch(console, -1) {
		shown = append(shown, m[1])
	}
	for _, block := range initBlock.FindAllStringSubmatch(console, -1) {
		shown = append(shown, initKey.FindAllString(block[1], -1)...)
	}
	return shown
}

// shownKey asks an ssh server for its host key, and gives it when its fingerprint
// is among those shown. Nobody logs in.
func shownKey(ctx context.Context, address string, shown []string) (ssh.PublicKey, error) {
	if len(shown) == 0 {
		return nil, errors.New("its console shows no host keys yet, so nobody can tell who answers: wait until it has booted, or look with 'openstack console log show'")
	}
	if net.ParseIP(address) != nil {
		address = net.JoinHostPort(address, "22")
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	var key ssh.PublicKey
	seen := errors.New("the key was seen")
	_, _, _, err = ssh.NewClientConn(conn, address, &ssh.ClientConfig{HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
		key = k
		return seen
	}})
	switch {
	case key == nil:
		return nil, err
	case !slices.Contains(shown, ssh.FingerprintSHA256(key)):
		return nil, fmt.Errorf("its host key %s is none of those that its console showed (%s): somebody else may answer there", ssh.FingerprintSHA256(key), strings.Join(shown, ", "))
	}
	return key, nil
}

// algorithmsOf are the signatures that ssh is to ask of a key.
func algorithmsOf(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}
