package verify_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/verify"
)

// file is one of testdata, which GnuPG 2.2.40, minisign 0.11 and coreutils made.
func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keys(t testing.TB, rings ...string) *verify.Keys {
	t.Helper()
	k := &verify.Keys{}
	for _, ring := range rings {
		if err := k.Add(file(t, ring)); err != nil {
			t.Fatal(ring, err)
		}
	}
	return k
}

func TestSignatures(t *testing.T) {
	image := file(t, "image")
	corrupt := bytes.Clone(image)
	corrupt[1234] ^= 1
	for _, c := range []struct {
		ring, signature string
		who, err        string
	}{
		{"images.asc", "image.asc", "Images of Test", ""},
		{"other.gpg", "image.gpg", "Other", ""},
		{"other.gpg", "image.asc", "", "not trusted"},
		{"minisign.pub", "image.minisig", "minisign key", ""},
		{"minisign.pub", "old.minisig", "minisign key", ""},
		{"minisign.pub", "image.asc", "", "no key of such"},
		{"images.asc", "image.minisig", "", "not trusted"},
		{"images.asc", "image.sig", "", "anybody can write"},
		{"images.asc", "CHECKSUM.asc", "", "another text"},
		{"images.asc", "image", "", "no signature"},
	} {
		t.Run(c.ring+"/"+c.signature, func(t *testing.T) {
			k, signature := keys(t, c.ring), file(t, c.signature)
			who, err := k.Check(bytes.NewReader(image), signature)
			if c.err != "" {
				if disk.KindOf(err) != disk.Refused || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%q, %v", who, err)
				}
				return
			}
			if err != nil || !strings.Contains(who, c.who) {
				t.Errorf("%q, %v", who, err)
			}
			if who, err = k.Check(bytes.NewReader(corrupt), signature); disk.KindOf(err) != disk.Refused || who != "" {
				t.Errorf("a corrupt byte: %q, %v", who, err)
			}
			broken := errors.New("connection reset")
			if _, err = k.Check(&reader{err: broken}, signature); !errors.Is(err, broken) {
				t.Errorf("a broken connection: %v", err)
			}
		})
	}
	ring, err := verify.Armor(file(t, "other.gpg"))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := verify.Armor(file(t, "image.gpg"))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := verify.ReadKeys(ring); err != nil {
		t.Error(err)
	} else if _, err := k.Check(bytes.NewReader(image), signature); err != nil {
		t.Error("as text:", err)
	}
	both := keys(t, "minisign.pub", "images.asc", "other.gpg")
	for _, signature := range []string{"image.asc", "image.gpg", "image.minisig"} {
		if _, err := both.Check(bytes.NewReader(image), file(t, signature)); err != nil {
			t.Error(signature, err)
		}
	}
	if _, err := verify.ReadKeys([]byte("no key\n")); err == nil {
		t.Error("a file without keys is taken")
	}
}

type reader struct{ err error }

// Read fails.
func (r *reader) Read([]byte) (int, error) { return 0, r.err }

func TestClearSigned(t *testing.T) {
	text := file(t, "CHECKSUM.asc")
	content, who, err := keys(t, "images.asc").Open(text)
	if err != nil || !strings.Contains(who, "Images of Test") {
		t.Fatal(who, err)
	}
	if sum, err := verify.FindSum(content, "image"); err != nil || sum.Algorithm != "sha512" {
		t.Error(sum, err)
	}
	if _, _, err := keys(t, "other.gpg").Open(text); disk.KindOf(err) != disk.Refused {
		t.Error(err)
	}
	if _, _, err := keys(t, "images.asc").Open(bytes.Replace(text, []byte("(image)"), []byte("(imagf)"), 1)); disk.KindOf(err) != disk.Refused {
		t.Error(err)
	}
}

func TestSums(t *testing.T) {
	image := file(t, "image")
	for _, c := range []struct{ name, algorithm string }{{"SHA256SUMS", "sha256"}, {"CHECKSUM", "sha512"}, {"CHECKSUM.asc", "sha512"}, {"image.sig", "sha1"}} {
		if kind := verify.KindOf(file(t, c.name)); kind != verify.Sums && kind != verify.Clear {
			t.Error(c.name, kind)
		}
		sum, err := verify.FindSum(file(t, c.name), "x/image")
		if err != nil || sum.Algorithm != c.algorithm || sum.Weak() != (c.algorithm == "sha1") {
			t.Fatal(c.name, sum, err)
		}
		if err := sum.Check(bytes.NewReader(image)); err != nil {
			t.Error(c.name, err)
		}
		if err := sum.Check(bytes.NewReader(image[1:])); disk.KindOf(err) != disk.Refused {
			t.Error(c.name, err)
		}
	}
	if _, err := verify.FindSum(file(t, "SHA256SUMS"), "other"); disk.KindOf(err) != disk.Refused {
		t.Error(err)
	}
	gentoo := "# BLAKE2B HASH\n" + strings.Repeat("a", 128) + "  image\n# SHA512 HASH\n" + strings.Repeat("b", 128) + "  image\n"
	if sum, err := verify.FindSum([]byte(gentoo), "image"); err != nil || sum.Hex[0] != 'b' {
		t.Error("BLAKE2 taken for SHA-512:", sum, err)
	}
}

func FuzzVerify(f *testing.F) {
	for _, name := range []string{"image.asc", "image.gpg", "image.minisig", "CHECKSUM.asc", "SHA256SUMS", "images.asc", "minisign.pub"} {
		f.Add(file(f, name))
	}
	k := keys(f, "minisign.pub", "images.asc", "other.gpg")
	other := []byte("bytes that nobody signed")
	f.Fuzz(func(t *testing.T, b []byte) {
		if who, err := k.Check(bytes.NewReader(other), b); err == nil {
			t.Errorf("what nobody signed is by %s", who)
		}
		_, _, _ = k.Open(b)
		_, _ = verify.FindSum(b, "image")
		_, _ = verify.ReadKeys(b)
	})
}
