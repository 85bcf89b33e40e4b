package verify

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // ganeti-instance-image's .sig files are sums by it, and are taken with a warning
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"path"
	"regexp"
	"strings"
)

// Sum is a check sum.
type Sum struct {
	Algorithm string // sha512, sha256 or sha1
	Hex       string // in lower case
}

// named is a sum and the file that it is of; "" where it stands alone.
type named struct {
	Sum
	file string
}

// byLength are the algorithms that are known, by the digits of their sums.
var byLength = map[int]string{2 * sha512.Size: "sha512", 2 * sha256.Size: "sha256", 2 * sha1.Size: "sha1"}

// Hash makes the algorithm's hash.
func (s Sum) Hash() hash.Hash {
	switch s.Algorithm {
	case "sha512":
		return sha512.New()
	case "sha256":
		return sha256.New()
	}
	return sha1.New() //nolint:gosec // see above
}

// Weak tells whether the sum proves little.
func (s Sum) Weak() bool { return s.Algorithm == "sha1" }

// Check reads all, and refuses bytes that have another sum.
func (s Sum) Check(r io.Reader) error {
	h := s.Hash()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	return s.Compare(h)
}

// Compare refuses a sum that is another.
func (s Sum) Compare(h hash.Hash) error {
	if got := hex.EncodeToString(h.Sum(nil)); got != s.Hex {
		return refuse("the bytes are not those of the check sum: their %s is %s, and %s was expected", strings.ToUpper(s.Algorithm), got, s.Hex)
	}
	return nil
}

// FindSum finds the best sum of a file in a list as sha256sum, BSD's sha256 and Gentoo's
// DIGESTS have it, clear-signed or not. A list that has a sum alone has that of any file.
func FindSum(text []byte, file string) (Sum, error) {
	var best Sum
	for _, n := range list(text) {
		if (n.file == "" || n.file == path.Base(file)) && len(n.Hex) > len(best.Hex) {
			best = n.Sum
		}
	}
	if best.Hex == "" {
		return best, refuse("there is no check sum of %s by SHA-512, SHA-256 or SHA-1", path.Base(file))
	}
	return best, nil
}

var (
	bsdLine  = regexp.MustCompile(`^(SHA512|SHA256|SHA1) ?\((.+)\) ?= ?([0-9a-fA-F]+)$`)
	hashLine = regexp.MustCompile(`^# ?([A-Z0-9]+) HASH$`) // in DIGESTS: what the lines after it are by
)

// list reads a file of sums.
func list(text []byte) (all []named) {
	if len(text) > Most {
		return nil
	}
	kind := "" // of the lines that follow; "" for any
	lines := bufio.NewScanner(bytes.NewReader(Plain(text)))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if m := hashLine.FindStringSubmatch(line); m != nil {
			kind = strings.ToLower(m[1])
			continue
		}
		var sum, file string
		if m := bsdLine.FindStringSubmatch(line); m != nil {
			sum, file = m[3], m[2]
			if byLength[len(sum)] != strings.ToLower(m[1]) {
				continue
			}
		} else if sum, file, _ = strings.Cut(line, " "); kind != "" && byLength[len(sum)] != kind {
			continue // BLAKE2's are as long as SHA-512's
		}
		algorithm := byLength[len(sum)]
		if _, err := hex.DecodeString(sum); err != nil || algorithm == "" {
			continue
		}
		if file = strings.TrimPrefix(strings.TrimSpace(file), "*"); file != "" {
			file = path.Base(file)
		}
		all = append(all, named{Sum{algorithm, strings.ToLower(sum)}, file})
	}
	return all
}
