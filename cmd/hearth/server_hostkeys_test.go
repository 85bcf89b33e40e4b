package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestHostKeysShown(t *testing.T) {
	a, b := "SHA256:"+strings.Repeat("a", 43), "SHA256:"+strings.Repeat("b", 43)
	console := "hearth-guest: host key ed25519 " + a + "\n" +
		"ci-info: | ssh-ed25519 | SHA256:" + strings.Repeat("c", 43) + " | me |\n" +
		"-----BEGIN SSH HOST KEY FINGERPRINTS-----\n256 " + b + " root@vm (ECDSA)\n-----END SSH HOST KEY FINGERPRINTS-----\n"
	if got := hostKeysShown(console); !slices.Equal(got, []string{a, b}) {
		t.Errorf("shown: %q", got)
	}
	if got := hostKeysShown("login:"); got != nil {
		t.Errorf("shown: %q", got)
	}
}

// TestShownKey asks a server whose key was shown, and one whose was not.
func TestShownKey(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			config := &ssh.ServerConfig{NoClientAuth: true}
			config.AddHostKey(signer)
			_, _, _, _ = ssh.NewServerConn(conn, config)
		}
	}()
	address := l.Addr().String()
	want := ssh.FingerprintSHA256(signer.PublicKey())
	key, err := shownKey(t.Context(), address, []string{"SHA256:other", want})
	if err != nil || ssh.FingerprintSHA256(key) != want {
		t.Errorf("%v, %v", key, err)
	}
	if _, err := shownKey(t.Context(), address, []string{"SHA256:other"}); err == nil || !strings.Contains(err.Error(), "somebody else may answer") {
		t.Errorf("a key that was not shown: %v", err)
	}
	if _, err := shownKey(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), "shows no host keys yet") {
		t.Errorf("no keys: %v", err)
	}
}
