package glance_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"oras.land/oras-go/v2/registry/remote/auth"

	"hearth/internal/cloud"
)

// registry is one in memory, as the distribution API has it: manifests and blobs.
type registry struct {
	*httptest.Server
	manifests, blobs map[string][]byte // by tag and digest
	cut              int               // bytes after which answers of blobs break off; 0: never
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{manifests: map[string][]byte{}, blobs: map[string][]byte{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		path := req.URL.Path
		name := path[strings.LastIndex(path, "/")+1:]
		b, ok := r.blobs[name]
		out := w
		if strings.Contains(path, "/manifests/") {
			if b, ok = r.manifests[name]; ok {
				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				w.Header().Set("Docker-Content-Digest", digestOf(b))
			}
		} else if r.cut > 0 {
			out = &short{ResponseWriter: w, left: r.cut}
		}
		if !ok {
			http.NotFound(w, req)
			return
		}
		http.ServeContent(out, req, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(r.Close)
	return r
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (r *registry) blob(b []byte, kind string) map[string]any {
	r.blobs[digestOf(b)] = b
	return map[string]any{"mediaType": kind, "digest": digestOf(b), "size": len(b)}
}

// image puts layers under a tag.
func (r *registry) image(t *testing.T, tag string, layers ...[]byte) {
	t.Helper()
	var list []any
	for _, l := range layers {
		list = append(list, r.blob(l, "application/vnd.oci.image.layer.v1.tar+gzip"))
	}
	b, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": r.blob([]byte("{}"), "application/vnd.oci.image.config.v1+json"), "layers": list})
	if err != nil {
		t.Fatal(err)
	}
	r.manifests[tag], r.manifests[digestOf(b)] = b, b
}

func (r *registry) ref(tag string) string {
	return "docker://" + strings.TrimPrefix(r.URL, "http://") + "/disks/some:" + tag
}

// tarOf is an archive: names that end in / are folders, values "->X" are hard links.
func tarOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(files[i+1]))}
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag, h.Mode, h.Size = tar.TypeDir, 0o755, 0
		}
		if to, ok := strings.CutPrefix(files[i+1], "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, to, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = io.WriteString(w, files[i+1])
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func zs(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

func pull(t *testing.T, uri string) ([]byte, int64, error) {
	t.Helper()
	body, length, err := downloads(t, "127.0.0.0/8").Open(t.Context(), uri)
	if err != nil {
		return nil, 0, err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	return b, length, err
}

func TestDisksOfRegistries(t *testing.T) {
	disk := strings.Repeat("a disk's bytes ", 50_000)
	contained := tarOf(t, "disk/", "", "disk/image.qcow2", disk)
	for name, c := range map[string]struct {
		layers [][]byte
		length int64
	}{
		"containerdisk, gzip":  {[][]byte{gz(contained)}, int64(len(disk))},
		"containerdisk, zstd":  {[][]byte{zs(contained)}, int64(len(disk))},
		"containerdisk, plain": {[][]byte{contained}, int64(len(disk))},
		"a layer by itself":    {[][]byte{[]byte("a README"), []byte(disk)}, int64(len(disk))},
		"a packed one":         {[][]byte{gz([]byte(disk))}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.image(t, "latest", c.layers...)
			got, length, err := pull(t, strings.TrimSuffix(r.ref("latest"), ":latest"))
			if err != nil || string(got) != disk || length != c.length {
				t.Errorf("%d bytes, length %d: %v", len(got), length, err)
			}
			r.cut = 300_000
			if got, _, err = pull(t, r.ref("latest")); err != nil || string(got) != disk {
				t.Errorf("over connections that break: %d bytes: %v", len(got), err)
			}
			r.cut = 0
			for digest, b := range r.blobs { // the last byte of a layer, beyond the disk in it
				if len(b) > 100 {
					r.blobs[digest] = append(slices.Clone(b[:len(b)-1]), b[len(b)-1]^1)
				}
			}
			if _, _, err = pull(t, r.ref("latest")); !cloud.Is(err, cloud.Invalid) && !errors.Is(err, gzip.ErrChecksum) && err == nil {
				t.Errorf("a corrupt layer is taken: %v", err)
			}
		})
	}
}

func TestIndexOfRegistries(t *testing.T) {
	r := newRegistry(t)
	r.image(t, "arm", []byte("for arm"))
	r.image(t, "amd", []byte("for amd64"))
	index := map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{
		map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digestOf(r.manifests["arm"]), "size": len(r.manifests["arm"]), "platform": map[string]any{"architecture": "arm64", "os": "linux"}},
		map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digestOf(r.manifests["amd"]), "size": len(r.manifests["amd"]), "platform": map[string]any{"architecture": "amd64", "os": "linux"}},
	}}
	r.manifests["both"], _ = json.Marshal(index)
	if got, _, err := pull(t, r.ref("both")); err != nil || string(got) != "for amd64" {
		t.Errorf("%q %v", got, err)
	}
	if _, _, err := pull(t, r.ref("none")); !cloud.Is(err, cloud.Invalid) {
		t.Error(err)
	}
}

func TestTreesOfRegistries(t *testing.T) {
	r := newRegistry(t)
	r.image(t, "tree",
		gz(tarOf(t, "etc/", "", "etc/old", "old", "etc/both", "lower", "bin/", "", "bin/sh", "shell", "gone/", "", "gone/x", "x", "kept/", "", "kept/below", "below")),
		gz(tarOf(t, "etc/both", "upper", "bin/bash", "->bin/sh", "etc/.wh.old", "", ".wh.gone", "", "kept/.wh..wh..opq", "", "kept/new", "new")))
	b, length, err := pull(t, r.ref("tree"))
	if err != nil || length != -1 {
		t.Fatal(length, err)
	}
	got := map[string]string{}
	for tr := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(tr)
		if _, twice := got[h.Name]; twice {
			t.Error(h.Name, "is there twice")
		}
		got[h.Name] = string(text) + h.Linkname
	}
	want := map[string]string{"etc/": "", "etc/both": "upper", "bin/": "", "bin/sh": "shell", "bin/bash": "bin/sh", "kept/": "", "kept/new": "new"}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %q, want %q", name, got[name], text)
		}
	}
}

func TestRegistriesThatMayNotBeAsked(t *testing.T) {
	r := newRegistry(t)
	r.image(t, "latest", []byte("disk"))
	d := downloads(t, "")
	for _, uri := range []string{r.ref("latest"), "oci+http://192.168.1.1/x/y", "simplestreams:http://10.0.0.1/streams/v1/index.json", "simplestreams:http://x/index.json", "docker://", "docker://x y"} {
		if err := d.Check(uri); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", uri, err)
		}
		if body, _, err := d.Open(t.Context(), uri); err == nil {
			body.Close()
			t.Errorf("%s is opened", uri)
		}
	}
	named := strings.Replace(r.ref("latest"), "127.0.0.1", "localhost", 1) // a name is looked at when it is dialled
	if err := d.Check(named); err != nil {
		t.Error(err)
	}
	if body, _, err := d.Open(t.Context(), named); err == nil {
		body.Close()
		t.Error("a name that leads inside is followed")
	}
}

// TestRegistriesThatWantALogin has one told anna's password, and nobody told it in the clear
// elsewhere than on this machine, whatever address a tenant names.
func TestRegistriesThatWantALogin(t *testing.T) {
	r := newRegistry(t)
	r.image(t, "latest", []byte("a disk"))
	next, told := r.Config.Handler, false
	r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, password, ok := req.BasicAuth(); ok && password == "secret" {
			told = true
			next.ServeHTTP(w, req)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	if _, _, err := pull(t, r.ref("latest")); !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), "image.registry_logins") {
		t.Errorf("without a login: %v", err)
	}
	d := downloads(t, "127.0.0.0/8")
	read := func(password string, bad error) (string, error) {
		d.LogInBy(func() (auth.CredentialFunc, error) {
			return auth.StaticCredential(strings.TrimPrefix(r.URL, "http://"), auth.Credential{Username: "anna", Password: password}), bad
		})
		body, _, err := d.Open(t.Context(), r.ref("latest"))
		if err != nil {
			return "", err
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		return string(b), err
	}
	if _, err := read("hidden", nil); !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), "image.registry_logins") || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "anna") {
		t.Errorf("by a wrong password: %v", err)
	}
	if _, err := read("secret", errors.New("secret path")); err == nil || strings.Contains(err.Error(), "secret") || told {
		t.Errorf("where the file cannot be read: %v", err)
	}
	if got, err := read("secret", nil); err != nil || got != "a disk" || !told {
		t.Errorf("%q %v", got, err)
	}
	d = downloads(t, "192.0.2.0/24")
	gone, cancel := context.WithCancel(t.Context()) // nothing goes out: what counts is whether a login was asked for
	cancel()
	for uri, want := range map[string]bool{"docker+http://192.0.2.1/disks/some:latest": false, "docker://192.0.2.1/disks/some:latest": true} {
		asked := false
		d.LogInBy(func() (auth.CredentialFunc, error) { asked = true; return nil, nil })
		if body, _, err := d.Open(gone, uri); err == nil || asked != want {
			t.Errorf("%s: asked for a login: %v; %v %v", uri, asked, body, err)
		}
	}
}

func TestStreams(t *testing.T) {
	disk, sum := []byte("the disk of noble"), digestOf([]byte("the disk of noble"))[7:]
	item := func(kind, path, sum string) map[string]any {
		return map[string]any{"ftype": kind, "path": path, "sha256": sum, "size": len(disk)}
	}
	product := func(release, arch string) map[string]any {
		return map[string]any{"release": release, "arch": arch, "aliases": "24.04," + release, "versions": map[string]any{
			"20250101": map[string]any{"items": map[string]any{"a": item("disk1.img", "old.img", sum)}},
			"20251102": map[string]any{"items": map[string]any{"a": item("disk1.img", "new.img", sum), "b": item("manifest", "m", sum), "c": item("root.tar.xz", "bad.img", sum)}},
		}}
	}
	pages := map[string]any{
		"/cloud/streams/v1/index.json": map[string]any{"format": "index:1.0", "index": map[string]any{
			"images": map[string]any{"datatype": "image-downloads", "path": "streams/v1/images.json", "products": []string{"noble:amd64"}},
			"other":  map[string]any{"datatype": "image-ids", "path": "streams/v1/none.json"},
		}},
		"/cloud/streams/v1/images.json": map[string]any{"products": map[string]any{"noble:amd64": product("noble", "amd64"), "noble:arm64": product("noble", "arm64"), "jammy:amd64": product("jammy", "amd64")}},
	}
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked = r.URL.Path; {
		case pages[asked] != nil:
			_ = json.NewEncoder(w).Encode(pages[asked])
		case strings.HasSuffix(asked, "bad.img"):
			_, _ = w.Write([]byte("the disk of noblf"))
		default:
			_, _ = w.Write(disk)
		}
	}))
	t.Cleanup(s.Close)
	index := "simplestreams:" + s.URL + "/cloud/streams/v1/index.json#"
	for words, want := range map[string]string{
		"release=noble": "new.img", "product=noble:amd64": "new.img", "alias=jammy": "new.img", "release=noble&version=20250101": "old.img", "release=noble&arch=arm64": "new.img",
	} {
		if got, length, err := pull(t, index+words); err != nil || !bytes.Equal(got, disk) || length != int64(len(disk)) || asked != "/cloud/"+want {
			t.Errorf("%s: %q of %s: %v", words, got, asked, err)
		}
	}
	for words, says := range map[string]string{
		"": "2 products", "release=plucky": "0 products", "release=noble&item=x": "no file x", "release=noble&item=root.tar.xz": "was refused", "version=%": "cannot be read",
	} {
		if _, _, err := pull(t, index+words); !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
