package publish

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// magic begins both what is signed and the signature.
var magic = [6]byte{'S', 'S', 'H', 'S', 'I', 'G'}

// Sign makes a signature as ssh-keygen -Y sign does.
// Source: PROTOCOL.sshsig of OpenSSH.
func Sign(key ssh.Signer, namespace string, message []byte) ([]byte, error) {
	const hash = "sha512"
	sum := sha512.Sum512(message)
	signed := ssh.Marshal(struct {
		Magic                     [6]byte
		Namespace, Reserved, Hash string
		Sum                       []byte
	}{magic, namespace, "", hash, sum[:]})
	signature, err := sign(key, signed)
	if err != nil {
		return nil, fmt.Errorf("the key does not sign: %w", err)
	}
	blob := ssh.Marshal(struct {
		Magic                     [6]byte
		Version                   uint32
		Key                       []byte
		Namespace, Reserved, Hash string
		Signature                 []byte
	}{magic, 1, key.PublicKey().Marshal(), namespace, "", hash, ssh.Marshal(signature)})
	var b bytes.Buffer
	b.WriteString("-----BEGIN SSH SIGNATURE-----\n")
	for text := base64.StdEncoding.EncodeToString(blob); text != ""; {
		n := min(70, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString("-----END SSH SIGNATURE-----\n")
	return b.Bytes(), nil
}

// sign has RSA keys sign by SHA-2: by SHA-1 nobody trusts them. Without chance, ECDSA's are
// deterministic (RFC 6979), so that what is published again is the same.
func sign(key ssh.Signer, data []byte) (*ssh.Signature, error) {
	if strings.HasPrefix(key.PublicKey().Type(), "ecdsa-sha2-") {
		return key.Sign(nil, data)
	}
	if k, ok := key.(ssh.AlgorithmSigner); ok && key.PublicKey().Type() == ssh.KeyAlgoRSA {
		return k.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
	}
	return key.Sign(rand.Reader, data)
}
