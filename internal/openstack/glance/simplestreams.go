package glance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/disk/verify"
)

// streamScheme begins the address of a stream of images: then comes that of its
// index.json, and after # what is wanted of it: words of a product such as release=noble,
// and product=, version= and item=, the ftype of the file. The newest version is taken
// (https://launchpad.net/simplestreams, as Ubuntu's clouds and Incus have them).
const streamScheme = "simplestreams:"

// streamMost is how many bytes of a list are read; Ubuntu's has some eight million.
const streamMost = 64 << 20

// streamItems are the files that are disks, those taken first at the front.
var streamItems = []string{"disk-kvm.img", "disk1.img", "disk.qcow2", "disk.img", "uefi1.img"}

// streamIndex is index.json, or a list of products.
type streamIndex struct {
	Index map[string]struct {
		Path     string   `json:"path"`
		Datatype string   `json:"datatype"`
		Products []string `json:"products"`
	} `json:"index"`
	Products map[string]streamProduct `json:"products"`
}

type streamProduct struct {
	words    map[string]string
	versions map[string]struct {
		Items map[string]streamItem `json:"items"`
	}
}

// UnmarshalJSON keeps the words of a product, whatever they are called.
func (p *streamProduct) UnmarshalJSON(b []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	p.words = map[string]string{}
	for name, value := range all {
		var text string
		if json.Unmarshal(value, &text) == nil {
			p.words[name] = text
		}
	}
	if all["versions"] == nil {
		return nil
	}
	return json.Unmarshal(all["versions"], &p.versions)
}

type streamItem struct {
	Type   string `json:"ftype"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// wish is what is wanted of a stream.
type wish struct {
	index, base string // address of the index, and what paths begin at
	words       url.Values
}

// readWish reads an address of a stream.
func readWish(uri string) (w wish, is bool, err error) {
	rest, is := strings.CutPrefix(uri, streamScheme)
	if !is {
		return w, false, nil
	}
	address, words, _ := strings.Cut(rest, "#")
	base, _, ok := strings.Cut(address, "/streams/")
	if !ok {
		return w, true, refusedURI("the address of a stream is like simplestreams:https://HOST/PATH/streams/v1/index.json#release=noble")
	}
	w.index, w.base = address, base+"/"
	if w.words, err = url.ParseQuery(words); err != nil {
		return w, true, refusedURI("what is wanted of the stream cannot be read: it is WORD=VALUE, joined by &")
	}
	return w, true, nil
}

// openStream reads the image that is wanted of a stream; its bytes are held against the
// size and the sum that the stream says.
func (d *Downloads) openStream(ctx context.Context, w wish) (io.ReadCloser, int64, error) {
	top, err := d.streamList(ctx, w.index)
	if err != nil {
		return nil, 0, err
	}
	products := top.Products
	for _, name := range slices.Sorted(maps.Keys(top.Index)) {
		part := top.Index[name]
		if part.Datatype != "image-downloads" || w.words.Has("product") && !slices.Contains(part.Products, w.words.Get("product")) {
			continue
		}
		list, err := d.streamList(ctx, w.base+part.Path)
		if err != nil {
			return nil, 0, err
		}
		if products == nil {
			products = map[string]streamProduct{}
		}
		maps.Copy(products, list.Products)
	}
	item, err := w.choose(products)
	if err != nil {
		return nil, 0, err
	}
	body, length, err := d.openWeb(ctx, w.base+item.Path)
	if err != nil {
		return nil, 0, err
	}
	if length >= 0 && item.Size > 0 && length != item.Size {
		_ = body.Close()
		return nil, 0, unreachable(fmt.Errorf("the server has %d bytes, and the stream says %d", length, item.Size))
	}
	return &summed{ReadCloser: body, sum: sha256.New(), want: strings.ToLower(item.SHA256)}, length, nil
}

// streamList reads a list, clear-signed (.sjson) or not.
func (d *Downloads) streamList(ctx context.Context, address string) (list streamIndex, err error) {
	body, _, err := d.openWeb(ctx, address)
	if err != nil {
		return list, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, streamMost+1))
	if err != nil {
		return list, unreachable(err)
	}
	if len(text) > streamMost {
		return list, unreachable(fmt.Errorf("%s has more than %d bytes", address, streamMost))
	}
	if err := json.Unmarshal(verify.Plain(text), &list); err != nil {
		return list, unreachable(fmt.Errorf("%s is no list of a stream: %w", address, err))
	}
	return list, nil
}

// choose finds the one product that has the words, its newest version, and the disk.
func (w wish) choose(products map[string]streamProduct) (item streamItem, err error) {
	var fit []string
	for name, p := range products {
		if w.fits(name, p) {
			fit = append(fit, name)
		}
	}
	slices.Sort(fit)
	if len(fit) != 1 {
		some := strings.Join(fit[:min(len(fit), 6)], ", ")
		return item, cloud.E("glance.simplestreams", cloud.Invalid, "The stream has %d products that are like this, and one is wanted; say more words, or product=NAME. %s", len(fit), some)
	}
	versions := products[fit[0]].versions
	for _, version := range slices.Backward(slices.Sorted(maps.Keys(versions))) { // they begin with the date
		if w.words.Has("version") && version != w.words.Get("version") {
			continue
		}
		for _, kind := range w.kinds() {
			for _, i := range versions[version].Items {
				if i.Type == kind && i.SHA256 != "" && i.Path != "" {
					return i, nil
				}
			}
		}
	}
	return item, cloud.E("glance.simplestreams", cloud.Invalid, "The product %s has no file %s with a SHA-256 sum in its versions.", fit[0], strings.Join(w.kinds(), ", "))
}

func (w wish) kinds() []string {
	if w.words.Has("item") {
		return w.words["item"]
	}
	return streamItems
}

// fits tells whether a product has the words; the machine's kind goes without saying.
func (w wish) fits(name string, p streamProduct) bool {
	if arch := p.words["arch"]; arch != "" && arch != "amd64" && arch != "x86_64" && !w.words.Has("arch") {
		return false
	}
	for word, values := range w.words {
		switch word {
		case "version", "item":
		case "product":
			if name != values[0] {
				return false
			}
		case "alias":
			if !slices.Contains(strings.Split(p.words["aliases"], ","), values[0]) {
				return false
			}
		default:
			if p.words[word] != values[0] {
				return false
			}
		}
	}
	return true
}

// summed is a download that is an error at its end when its sum is another.
type summed struct {
	io.ReadCloser
	sum  hash.Hash
	want string
}

// Read reads on.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.sum.Write(p[:n])
	if got := hex.EncodeToString(s.sum.Sum(nil)); err == io.EOF && got != s.want {
		return n, cloud.E("glance.simplestreams", cloud.Invalid, "The image was refused: its SHA-256 is %s, and the stream says %s.", got, s.want)
	}
	return n, err
}
