package image

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/url"
	"os"
	"path"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/disk/verify"
)

// The words of an import's method by which its bytes are vouched for; glance has none.
const (
	WordSignature = "hearth_signature" // the signature's text, or where it is
	WordKey       = "hearth_key"       // the public keys that may have made it; else the operator's
)

// voucher is what an import says of who vouches for its bytes.
type voucher struct{ signature, key string }

// voucherOf reads it in the request of an import.
func voucherOf(task cloud.ImageTask) (v voucher, err error) {
	method, _ := task.Request["method"].(map[string]any)
	for word, to := range map[string]*string{WordSignature: &v.signature, WordKey: &v.key} {
		value, there := method[word]
		text, ok := value.(string)
		if there && (!ok || len(text) > verify.Most) {
			return v, cloud.E("image.Import", cloud.Invalid, "'%s' must be text of %d bytes at the most.", word, verify.Most)
		}
		*to = text
	}
	if v.key != "" && v.signature == "" {
		return v, cloud.E("image.Import", cloud.Invalid, "'%s' is of no use without '%s'.", WordKey, WordSignature)
	}
	return v, nil
}

// fetched tells whether the signature is an address.
func (v voucher) fetched() bool {
	return !strings.ContainsAny(v.signature, "\n ") && strings.Contains(v.signature, "://")
}

// vouchable refuses an import whose signature could not be checked.
func (s *Service) vouchable(task cloud.ImageTask) error {
	v, err := voucherOf(task)
	if err != nil || v.signature == "" {
		return err
	}
	if v.fetched() {
		if s.opts.Source == nil {
			return cloud.E("image.Import", cloud.Invalid, "'%s' cannot be an address: nothing is fetched here.", WordSignature)
		}
		return s.opts.Source.Check(v.signature)
	}
	if verify.KindOf([]byte(v.signature)) == verify.Unknown {
		return cloud.E("image.Import", cloud.Invalid, "'%s' is neither an address nor a signature of OpenPGP (armored) or minisign.", WordSignature)
	}
	if verify.KindOf([]byte(v.signature)) == verify.Sums {
		return nil
	}
	_, err = s.trusted(v)
	return err
}

// trusted are the keys that an import names, or the operator's.
func (s *Service) trusted(v voucher) (*verify.Keys, error) {
	const op = "image.Import"
	if v.key != "" {
		k, err := verify.ReadKeys([]byte(v.key))
		if err != nil {
			return nil, cloud.E(op, cloud.Invalid, "'%s': %s.", WordKey, reason(err))
		}
		return k, nil
	}
	if s.opts.Keyring == "" {
		return nil, cloud.E(op, cloud.Invalid, "The import has a signature, but no '%s', and the operator trusts no keys (image.keyring).", WordKey)
	}
	b, err := os.ReadFile(s.opts.Keyring)
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the operator's key ring (image.keyring) cannot be read: %w", err)
	}
	k, err := verify.ReadKeys(b)
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the operator's key ring (image.keyring): %w", err)
	}
	return k, nil
}

// vouched holds the bytes of an import against its signature, if it has one, and says
// who signed, or what the matter is with a mere sum.
func (s *Service) vouched(ctx context.Context, task cloud.ImageTask, file string) (said string, err error) {
	v, err := voucherOf(task)
	if err != nil || v.signature == "" {
		return "", err
	}
	err = storyOf(ctx).step("signature", func(note noter) error {
		said, err = s.voucherHolds(ctx, task, v, file)
		note("%s", cmp.Or(said, "refused"))
		return err
	})
	return said, err
}

func (s *Service) voucherHolds(ctx context.Context, task cloud.ImageTask, v voucher, file string) (string, error) {
	const op = "image.Import"
	signature := []byte(v.signature)
	if v.fetched() {
		body, _, err := s.opts.Source.Open(ctx, v.signature)
		if err != nil {
			return "", err
		}
		signature, err = io.ReadAll(io.LimitReader(body, verify.Most))
		_ = body.Close()
		if err != nil {
			return "", cloud.E(op, cloud.Invalid, "The signature cannot be downloaded: %w", err)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if verify.KindOf(signature) == verify.Sums {
		return checkSum(task, signature, f)
	}
	k, err := s.trusted(v)
	if err != nil {
		return "", err
	}
	who, err := k.Check(f, signature)
	if err != nil {
		return "", cloud.E(op, cloud.Invalid, "The image was refused: %s.", reason(err))
	}
	return "signed by " + who, nil
}

// checkSum takes ganeti-instance-image's .sig, which is a sum by SHA-1, and other sums.
func checkSum(task cloud.ImageTask, text []byte, f io.Reader) (string, error) {
	name := task.URI
	if u, err := url.Parse(task.URI); err == nil {
		name = path.Base(u.Path)
	}
	sum, err := verify.FindSum(text, name)
	if err == nil {
		err = sum.Check(f)
	}
	if err != nil {
		return "", cloud.E("image.Import", cloud.Invalid, "The image was refused: %s.", reason(err))
	}
	return "warning: not signed; what was given is a check sum by " + strings.ToUpper(sum.Algorithm) + ", which proves little of where it is from", nil
}

// reason is what an error of verify says, without its room.
func reason(err error) string {
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("verify: ")))
}
