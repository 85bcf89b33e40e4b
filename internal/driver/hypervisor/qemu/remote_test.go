package qemu

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/driver/hypervisor"
)

// TestRemoteArguments: a disk of another host needs no descriptor but that of its
// certificate, and no argument tells the key.
func TestRemoteArguments(t *testing.T) {
	id := hypervisor.Identity{CA: []byte("the authority"), Cert: []byte("the certificate"), Key: "the key"}
	d := hypervisor.Disk{ID: "vol-1", Format: hypervisor.FormatRaw,
		Remote: &hypervisor.Remote{Address: netip.MustParseAddrPort("[fd00::1]:7000"), Name: "volume-1@gold", Peer: "node-1", Identity: id}}
	cfg := hypervisor.Config{ID: "g", Dir: "/g", VCPUs: 1, MemoryMB: 64, Disks: []hypervisor.Disk{d}}
	words, passed := build(cfg, host{accel: "tcg", machine: "pc", log: "/g/console.log"})
	line := strings.Join(words, " ")
	for _, want := range []string{`"driver":"nbd"`, `"server":{"type":"inet","host":"fd00::1","port":"7000"}`, `"export":"volume-1@gold"`, `"tls-creds":"tls-vol-1"`,
		`"tls-hostname":"node-1"`, `"reconnect-delay":60`, `"endpoint":"client"`, `"verify-peer":true`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	export := hypervisor.Export{ID: "e", Dir: "/e", Disk: hypervisor.Disk{ID: "export", Path: "/d", Format: hypervisor.FormatRaw}, Name: "volume-1", Peers: []string{"node-2", "node-3"}, Identity: id}
	more, given := buildExport(export, nil)
	serving := strings.Join(more, " ")
	for _, want := range []string{`-machine none`, `-sandbox on,`, `"endpoint":"server"`, `"policy":"deny"`, `"match":"*OU=hearth-export,CN=node-2"`, `CN=node-3"`} {
		if !strings.Contains(serving, want) {
			t.Errorf("no %s in %s", want, serving)
		}
	}
	if strings.Contains(line+serving, "the key") || strings.Contains(line+serving, "the certificate") {
		t.Error("an argument tells what is secret")
	}
	for _, list := range [][]string{roles(passed), roles(given)} {
		if n := len(slices.DeleteFunc(list, func(r string) bool { return r != "identity" })); n != 1 {
			t.Errorf("%d identities are passed", n)
		}
	}
}

func roles(list []passed) (out []string) {
	for _, p := range list {
		if p.role == roleIdentity {
			out = append(out, "identity")
			continue
		}
		out = append(out, p.path)
	}
	return out
}

// TestIdentityIsForgotten: what QEMU reads a certificate from is there for as long as it
// reads, and what a start that was cut off has left goes.
func TestIdentityIsForgotten(t *testing.T) {
	dir := t.TempDir()
	id := hypervisor.Identity{CA: []byte("the authority"), Cert: []byte("the certificate"), Key: "the key"}
	for range 2 {
		f, err := identityDir(filepath.Join(dir, identityName("vol-1")), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"client-key.pem", "server-key.pem"} {
			info, err := os.Stat(filepath.Join(f.Name(), name))
			if err != nil || info.Mode().Perm() != 0o400 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		f.Close()
	}
	keep := filepath.Join(dir, hypervisor.FileLog)
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	forgetIdentities(dir)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != hypervisor.FileLog {
		t.Errorf("%v, %v", left, err)
	}
}
