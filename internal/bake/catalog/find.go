package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"hearth/internal/disk/verify"
)

// Fetch opens an address; length is -1 if it is not known.
type Fetch func(ctx context.Context, url string) (body io.ReadCloser, length int64, err error)

// pageMost is how many bytes of a page or a list of sums are read.
const pageMost = verify.Most

// Found is the newest image of an entry.
type Found struct {
	URL     string
	Mirrors []string
	File    string // its name
	Version string // the words that were found
	Sum     verify.Sum
	Signed  string // by whose key the sum is vouched for; "" if by nobody's
	Note    string // what was not checked, and why
	keys    *verify.Keys
	imgSig  []byte
}

// Find looks for the newest image of an entry, and for what vouches for it.
func (e Entry) Find(ctx context.Context, fetch Fetch) (f Found, err error) {
	if e.Bake != "" {
		return f, fmt.Errorf("%s is baked here, and not fetched", e.Name)
	}
	words := []string{"{arch}", e.Arch}
	say := func(s string) string { return strings.NewReplacer(words...).Replace(s) }
	var versions []string
	for _, step := range e.Newest {
		word, err := newest(ctx, fetch, say(step.At), step.Match)
		if err != nil {
			return f, err
		}
		words, versions = append(words, "{"+step.Name+"}", word), append(versions, word)
	}
	f.URL, f.Version = say(e.Image), strings.Join(versions, " ")
	u, err := url.Parse(f.URL)
	if err != nil {
		return f, fmt.Errorf("the address %q cannot be read: %w", f.URL, err)
	}
	f.File = path.Base(u.Path)
	words = append(words, "{file}", f.File, "{image}", f.URL)
	for _, m := range e.Mirrors {
		f.Mirrors = append(f.Mirrors, say(m))
	}
	if f.keys, f.Note, err = e.trusted(); err != nil {
		return f, err
	}
	if e.ImageSignature != "" && f.keys != nil {
		if f.imgSig, err = page(ctx, fetch, say(e.ImageSignature)); err != nil {
			return f, err
		}
	}
	if e.Sums == "" {
		if f.keys == nil {
			return f, fmt.Errorf("only a signature vouches for %s, and %s", e.Name, f.Note)
		}
		return f, nil
	}
	return f, f.vouch(ctx, fetch, say(e.Sums), say(e.Signature))
}

// trusted reads the keys of an entry that are here.
func (e Entry) trusted() (*verify.Keys, string, error) {
	if len(e.Keys) == 0 {
		return nil, "no key is known by which its sums could be checked", nil
	}
	var k *verify.Keys
	for _, name := range e.Keys {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if k == nil {
			k = &verify.Keys{}
		}
		if err := k.Add(b); err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
	}
	if k == nil {
		return nil, "its signature is not checked: none of the files with its keys is here: " + strings.Join(e.Keys, ", "), nil
	}
	return k, "", nil
}

// vouch gets the sum of the image, from a list that is signed if there are keys.
func (f *Found) vouch(ctx context.Context, fetch Fetch, sums, signature string) error {
	text, err := page(ctx, fetch, sums)
	if err != nil {
		return err
	}
	content := verify.Plain(text)
	switch {
	case f.keys == nil:
	case signature != "":
		detached, err := page(ctx, fetch, signature)
		if err != nil {
			return err
		}
		if f.Signed, err = f.keys.Check(bytes.NewReader(text), detached); err != nil {
			return fmt.Errorf("%s: %w", sums, err)
		}
		content = text
	case verify.KindOf(text) == verify.Clear:
		if content, f.Signed, err = f.keys.Open(text); err != nil {
			return fmt.Errorf("%s: %w", sums, err)
		}
	case f.imgSig == nil:
		return fmt.Errorf("%s is not signed, though its entry has keys", sums)
	}
	if f.Sum, err = verify.FindSum(content, f.File); err != nil {
		return fmt.Errorf("%s: %w", sums, err)
	}
	return nil
}

// page reads a small file.
func page(ctx context.Context, fetch Fetch, address string) ([]byte, error) {
	body, _, err := fetch(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, pageMost+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if len(b) > pageMost {
		return nil, fmt.Errorf("%s has more than %d bytes", address, pageMost)
	}
	return b, nil
}

// newest is the greatest of what matches in a page.
func newest(ctx context.Context, fetch Fetch, address, match string) (string, error) {
	text, err := page(ctx, fetch, address)
	if err != nil {
		return "", err
	}
	re, err := regexp.Compile(match)
	if err != nil {
		return "", err
	}
	best := ""
	for _, m := range re.FindAllSubmatch(text, -1) {
		word := string(m[min(1, len(m)-1)])
		if best == "" || natural(word, best) > 0 {
			best = word
		}
	}
	if best == "" {
		return "", fmt.Errorf("%s has nothing that looks like %s: has the server been arranged anew?", address, match)
	}
	return best, nil
}

// natural compares two words, runs of digits in them as numbers.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, restA := run(a)
		y, restB := run(b)
		n, errA := strconv.ParseUint(x, 10, 64)
		m, errB := strconv.ParseUint(y, 10, 64)
		switch {
		case errA == nil && errB == nil && n != m:
			if n < m {
				return -1
			}
			return 1
		case (errA != nil || errB != nil) && x != y:
			return strings.Compare(x, y)
		}
		a, b = restA, restB
	}
	return len(a) - len(b)
}

// run cuts the digits, or what is none, off the beginning.
func run(s string) (first, rest string) {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	i := 1
	for i < len(s) && digit(s[i]) == digit(s[0]) {
		i++
	}
	return s[:i], s[i:]
}
