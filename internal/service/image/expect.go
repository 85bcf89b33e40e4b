package image

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"strings"

	"hearth/internal/cloud"
)

// The properties by which the owner of an image says, before its bytes come, what they
// are: any client can set them, and they hold for uploads, staged ones, and downloads.
const (
	ExpectSHA256 = "hearth_sha256"
	ExpectSHA512 = "hearth_sha512"
)

// expectation is what the bytes of an image should be.
type expectation struct {
	want256, want512 string
	sum256           hash.Hash // nil where none is wanted
}

func expected(img cloud.Image) expectation {
	e := expectation{want256: strings.ToLower(img.Properties[ExpectSHA256]), want512: strings.ToLower(img.Properties[ExpectSHA512])}
	if e.want256 != "" {
		e.sum256 = sha256.New()
	}
	return e
}

// hashes are those to be given the bytes beside the ones that always are.
func (e expectation) hashes() []hash.Hash {
	if e.sum256 == nil {
		return nil
	}
	return []hash.Hash{e.sum256}
}

// check refuses bytes that are others; Invalid.
func (e expectation) check(sha512 string) error {
	differ := func(name, want, got string) error {
		if want == "" || subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1 {
			return nil
		}
		return cloud.E("image.Upload", cloud.Invalid, "The image was refused: its bytes are not those of its property %s: they have %s, and %s was expected.", name, got, want)
	}
	if err := differ(ExpectSHA512, e.want512, sha512); err != nil || e.sum256 == nil {
		return err
	}
	return differ(ExpectSHA256, e.want256, hex.EncodeToString(e.sum256.Sum(nil)))
}
