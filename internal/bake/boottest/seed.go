package boottest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"hearth/internal/disk"
)

// instanceName is the guest's, its host name too.
const instanceName = "hearth-boot-test"

// keys are made for one test: of two kinds, for old servers do not know the first.
type keys struct {
	signers []ssh.Signer
	public  []string
}

func newKeys() (k keys, err error) {
	_, young, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return k, err
	}
	old, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return k, err
	}
	for _, private := range []any{young, old} {
		s, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return k, err
		}
		k.signers = append(k.signers, s)
		k.public = append(k.public, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))+" hearth-boot-test")
	}
	return k, nil
}

// seeds writes the metadata: as OpenStack's config drive, which Hearth's agent and
// cloud-init read, and as cloud-init's NoCloud seed, for images that know only that.
func (t *test) seeds() error {
	public := map[string]string{"first": t.keys.public[0], "second": t.keys.public[1]}
	meta, err := json.Marshal(map[string]any{"uuid": "5eed0000-0000-4000-8000-000000000001", "hostname": instanceName, "name": instanceName, "public_keys": public})
	if err != nil {
		return err
	}
	if err := disk.WriteConfigDrive(filepath.Join(t.dir, "config"), map[string][]byte{"openstack/latest/meta_data.json": meta}); err != nil {
		return err
	}
	list, err := json.Marshal(t.keys.public)
	if err != nil {
		return err
	}
	noCloud := "instance-id: 5eed0000-0000-4000-8000-000000000001\nlocal-hostname: " + instanceName + "\npublic-keys: " + string(list) + "\n"
	return disk.WriteDrive(filepath.Join(t.dir, "seed"), "cidata", map[string][]byte{"meta-data": []byte(noCloud), "user-data": []byte("#cloud-config\n{}\n")})
}
