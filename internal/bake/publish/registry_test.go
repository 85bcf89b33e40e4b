package publish

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	inmemory "github.com/google/go-containerregistry/pkg/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// server is a registry in memory that notes what is written to it. before may answer a request itself.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	puts   []string
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newServer(t *testing.T, referrers bool) *server {
	t.Helper()
	s := &server{}
	next := inmemory.New(inmemory.Logger(log.New(io.Discard, "", 0)), inmemory.WithReferrersSupport(referrers))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.before != nil && s.before(w, r) {
			return
		}
		if r.Method == http.MethodPut || r.Method == http.MethodPatch {
			s.mu.Lock()
			s.puts = append(s.puts, r.URL.Path+r.URL.Query().Get("digest"))
			s.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// written is what was written since it was asked last.
func (s *server) written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	puts := s.puts
	s.puts = nil
	return puts
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

func (s *server) at() Registry {
	return Registry{Reference: s.host() + "/images/web:1", Wait: time.Nanosecond}
}

func (s *server) repo(t *testing.T) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(s.host() + "/images/web")
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	return repo
}

func readBaked(t *testing.T) *Set {
	t.Helper()
	s, err := Read(filepath.Join(baked(t), "web.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files are those of what a manifest names, by their titles.
func files(t *testing.T, repo *remote.Repository, reference string) map[string][]byte {
	t.Helper()
	to, out := memory.New(), map[string][]byte{}
	desc, err := oras.Copy(t.Context(), repo, reference, to, "", oras.DefaultCopyOptions)
	if err != nil {
		t.Fatal(err)
	}
	read := func(d ocispec.Descriptor) []byte {
		r, err := to.Fetch(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b, _ := io.ReadAll(r)
		return b
	}
	var m ocispec.Manifest
	if out["manifest"] = read(desc); json.Unmarshal(out["manifest"], &m) != nil {
		t.Fatalf("%s", out["manifest"])
	}
	for _, l := range m.Layers {
		out[l.Annotations[ocispec.AnnotationTitle]] = read(l)
	}
	return out
}

// TestRegistry publishes, reads all back as a stranger would, checks the signature by its
// bytes, and publishes again, which sends nothing, whatever the kind of the key.
func TestRegistry(t *testing.T) {
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		for _, api := range []bool{true, false} {
			_, signer := key(t, kind)
			s, set := newServer(t, api), readBaked(t)
			digest, err := set.ToRegistry(t.Context(), s.at(), signer)
			if err != nil {
				t.Fatal(err)
			}
			if puts := s.written(); !strings.HasSuffix(puts[len(puts)-1], "/manifests/1") {
				t.Errorf("the tag is not the last: %v", puts)
			}
			repo := s.repo(t)
			image := files(t, repo, "1")
			r := tar.NewReader(bytes.NewReader(image["web.qcow2.tar"]))
			if dir, err := r.Next(); err != nil || dir.Name != "disk/" {
				t.Errorf("%+v %v", dir, err)
			}
			h, err := r.Next()
			if err != nil || h.Name != "disk/web.qcow2" || h.Uid != 107 {
				t.Fatalf("%+v %v", h, err)
			}
			if disk, err := io.ReadAll(r); err != nil || string(disk) != "a disk" {
				t.Errorf("%q %v", disk, err)
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("KubeVirt wants one file: %v", err)
			}
			desc, err := repo.Resolve(t.Context(), "1")
			if err != nil || desc.Digest.String() != digest {
				t.Fatalf("%s, not %s: %v", desc.Digest, digest, err)
			}
			all := map[string][]byte{"web.qcow2": []byte("a disk"), "web.oci-manifest.json": image["manifest"]}
			var kinds []string
			err = repo.Referrers(t.Context(), desc, "", func(list []ocispec.Descriptor) error {
				for _, d := range list {
					for name, b := range files(t, repo, d.Digest.String()) {
						if name != "manifest" {
							all[name] = b
							continue
						}
						var m ocispec.Manifest // by the manifest: this registry's list has the configuration's type instead
						if err := json.Unmarshal(b, &m); err != nil || m.Subject == nil || m.Subject.Digest.String() != digest {
							t.Errorf("%s: %v", b, err)
						}
						kinds = append(kinds, m.ArtifactType)
					}
				}
				return nil
			})
			slices.Sort(kinds)
			if err != nil || !slices.Equal(kinds, []string{TypeSBOM, TypePapers, TypeSignature}) {
				t.Fatalf("%v %v", kinds, err)
			}
			checkSums(t, all)
			if signed, err := Sign(signer, Namespace, all[Sums]); err != nil || !bytes.Equal(signed, all[Signature]) {
				t.Errorf("%s: the signature is another: %v", kind, err)
			}
			if again, err := set.ToRegistry(t.Context(), s.at(), signer); err != nil || again != digest {
				t.Errorf("%s, not %s: %v", again, digest, err)
			}
			if puts := s.written(); len(puts) > 0 {
				t.Errorf("%s: sent again: %v", kind, puts)
			}
		}
	}
}

// checkSums holds the files against SHA256SUMS, which has all but itself and its signature.
func checkSums(t *testing.T, all map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range all {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said, err := readSums(filepath.Join(dir, Sums))
	if err != nil || len(said) != len(all)-2 || len(said) != 6 {
		t.Fatalf("%v of %d: %v", said, len(all), err)
	}
	for name, sum := range said {
		if b := textBlob("", "", all[name]); b.Digest.Encoded() != sum {
			t.Errorf("%s: %s, not %s", name, b.Digest, sum)
		}
	}
}

// TestRegistryBreaks has each request that writes be the last in turn: no tag is there then,
// and the next time sends no file that came.
func TestRegistryBreaks(t *testing.T) {
	_, signer := key(t, "ed25519")
	set := readBaked(t)
	for n, done := 1, false; !done; n++ {
		if n > 40 {
			t.Fatal("it never comes to its end")
		}
		s := newServer(t, n%2 == 0)
		ctx, cancel := context.WithCancel(t.Context())
		count := 0
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				if count++; count >= n {
					cancel()
					panic(http.ErrAbortHandler)
				}
			}
			return false
		}
		_, err := set.ToRegistry(ctx, s.at(), signer)
		done = err == nil
		if cancel(); done {
			continue
		}
		if !strings.Contains(err.Error(), "no tag was set") {
			t.Errorf("%d: %v", n, err)
		}
		s.before = nil
		if _, err := s.repo(t).Resolve(t.Context(), "1"); err == nil {
			t.Errorf("%d: there is a tag", n)
		}
		came := s.written()
		if _, err := set.ToRegistry(t.Context(), s.at(), signer); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		for _, path := range s.written() {
			_, blob, ok := strings.Cut(path, "sha256:")
			if again := func(c string) bool { return strings.HasSuffix(c, "sha256:"+blob) }; ok && strings.Contains(path, "/blobs/") && slices.ContainsFunc(came, again) {
				t.Errorf("%d: %s was sent again", n, path)
			}
		}
		if got := files(t, s.repo(t), "1"); len(got) != 2 {
			t.Errorf("%d: %v", n, got)
		}
	}
}

// TestRegistryTriesAgain has the connection break off in the middle of a file.
func TestRegistryTriesAgain(t *testing.T) {
	_, signer := key(t, "ed25519")
	s := newServer(t, true)
	left := 2
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") && left > 0 {
			left--
			panic(http.ErrAbortHandler)
		}
		return false
	}
	at, told := s.at(), []string{}
	at.Sending = func(name string, size int64, r io.Reader) (io.Reader, func()) {
		var b bytes.Buffer
		return io.TeeReader(r, &b), func() {
			if told = append(told, name); int64(b.Len()) != size {
				t.Errorf("%s: %d bytes of %d", name, b.Len(), size)
			}
		}
	}
	if _, err := readBaked(t).ToRegistry(t.Context(), at, signer); err != nil || left != 0 {
		t.Errorf("%d left: %v", left, err)
	}
	slices.Sort(told)
	if want := []string{Sums, Signature, "web.json", "web.licences.txt", "web.qcow2.tar", "web.sbom.spdx.json", "web.sources.txt"}; !slices.Equal(told, want) {
		t.Errorf("%v", told)
	}
}

// TestRegistryWantsLogin asks for a name and a password, which stay out of what is said.
func TestRegistryWantsLogin(t *testing.T) {
	_, signer := key(t, "ed25519")
	s := newServer(t, true)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if name, password, ok := r.BasicAuth(); ok && name == "anna" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	login := func(password string) auth.CredentialFunc {
		return func(context.Context, string) (auth.Credential, error) {
			return auth.Credential{Username: "anna", Password: password}, nil
		}
	}
	for _, c := range []struct {
		login auth.CredentialFunc
		says  string
	}{{nil, "wants a login"}, {login("hidden"), "another login"}, {login("secret"), ""}} {
		at := s.at()
		at.Login = c.login
		switch _, err := readBaked(t).ToRegistry(t.Context(), at, signer); {
		case c.says == "" && err != nil:
			t.Error(err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hidden")):
			t.Errorf("%s: %v", c.says, err)
		}
	}
	if got, err := (Registry{Login: login("secret")}).loginAt("here")(t.Context(), "elsewhere"); err != nil || got != auth.EmptyCredential {
		t.Errorf("another registry gets the login: %v", err)
	}
}

// TestRegistryRefuses is what comes to nothing, and what is said then.
func TestRegistryRefuses(t *testing.T) {
	_, signer := key(t, "ed25519")
	for reference, says := range map[string]string{
		"registry.example.org/web": "HOST[:PORT]/NAME:TAG", "web:1": "HOST[:PORT]/NAME:TAG", "h/web@sha256:" + strings.Repeat("0", 64): "HOST[:PORT]/NAME:TAG", "h/WEB:1": "HOST[:PORT]/NAME:TAG",
	} {
		if _, err := readBaked(t).ToRegistry(t.Context(), Registry{Reference: reference}, signer); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", reference, err)
		}
	}
	for status, says := range map[int]string{http.StatusNotFound: "make it there first", http.StatusForbidden: "another login", http.StatusRequestEntityTooLarge: "raise the limit"} {
		s := newServer(t, true)
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				w.WriteHeader(status)
			}
			return r.Method == http.MethodPost
		}
		if _, err := readBaked(t).ToRegistry(t.Context(), s.at(), signer); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%d: %v", status, err)
		}
	}
	none := readBaked(t)
	none.Disk = ""
	if _, err := none.ToRegistry(t.Context(), newServer(t, true).at(), signer); err == nil || !strings.Contains(err.Error(), "no qcow2") {
		t.Error(err)
	}
}
