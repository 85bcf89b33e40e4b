package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// TestImageCacheLimit has guests of three images on a node whose cache holds two of them. At
// every change of its folder the cache is weighed: it is never above the limit, not while an
// image is converted, nor when the node is killed in the middle of that. Images of guests
// stay, those unused the longest leave, and a server of one that cannot fit says so.
func TestImageCacheLimit(t *testing.T) {
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots eight guests of large images: 'make e2e-all' runs this")
	}
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu", "HEARTH_COMPUTE_IMAGE_CACHE_GB=2")
	k := &cacheStage{t: t, c: c, s: c.session(), sums: map[string]string{}}
	scales := weighCache(t, filepath.Join(c.data, "node"), 2<<30)
	k.prepare(ember)

	first := k.start("first", "a")
	in := k.login(first)
	boot := bootIDOr(in)
	for _, image := range []string{"b", "c"} {
		k.s.remove(k.start("one-of-"+image, image))
	}
	k.holds("a", "b", "c")

	c.kill()
	scales.allow(1 << 30)
	for i, v := range c.conf {
		if strings.HasPrefix(v, "HEARTH_COMPUTE_IMAGE_CACHE_GB=") {
			c.conf[i] = "HEARTH_COMPUTE_IMAGE_CACHE_GB=1"
		}
	}
	c.up()
	scales.begin()
	k.s = c.session()
	k.holds("a", "c") // b was unused for longer

	b := k.start("second", "b")
	k.holds("a", "b") // a is that unused the longest, but a guest's
	k.refused("third", "c", "there is no room for image", "image_cache_gb")
	k.refused("huge", "huge", "there is no room for image", "image_cache_gb")
	k.holds("a", "b")
	k.s.remove(b)

	late := k.ask("late", "c")
	scales.whileConverting(func() { c.kill() })
	t.Logf("killed while an image was converted: the cache has %d MiB", scales.now()>>20)
	c.up()
	k.s = c.session()
	k.s.ready(late)
	k.holds("a", "c")
	k.login(late)
	if got := bootIDOr(k.login(first)); got != boot {
		t.Errorf("the first guest was started anew: %s, %s", boot, got)
	}
	k.s.remove(first, late)
	k.s.remove(k.start("again", "b"))
	k.holds("b", "c")
	c.fsck()
	scales.tell()
}

// cacheStage is a cloud with images that are large, by their names.
type cacheStage struct {
	t      *testing.T
	c      *theCloud
	s      *session
	signer ssh.Signer
	ids    map[string]string
	sums   map[string]string // by what the node calls it
}

// prepare makes images of ember and random bytes: a raw, b and c qcow2, and huge, which
// has nothing in it but may need more than the limit.
func (k *cacheStage) prepare(ember baked) {
	k.t.Helper()
	dir := tempDir(k.t)
	k.ids = map[string]string{}
	signer, public := keyPair(k.t)
	k.signer = signer
	k.s.importKey("me", public)
	k.s.group("web", true, 22)
	random := filepath.Join(dir, "random")
	randomFile(k.t, random, 380<<20)
	for i, name := range []string{"a", "b", "c", "huge"} {
		path, format := filepath.Join(dir, name), "raw"
		command(k.t, "cp", ember.raw, path)
		if name == "huge" {
			command(k.t, "truncate", "-s", "1100M", path)
		} else {
			command(k.t, "sh", "-c", fmt.Sprintf("head -c %dM %s >> %s", 340+20*i, random, path))
		}
		if name != "a" {
			command(k.t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", path, path+".qcow2")
			path, format = path+".qcow2", "qcow2"
		}
		k.ids[name], k.sums[sha512Of(k.t, path)] = k.s.upload(name, format, path, nil), name
		if err := os.Remove(path); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *cacheStage) ask(name, image string) *machine {
	k.t.Helper()
	gb := 1
	if image == "huge" {
		gb = 2
	}
	return k.s.launch(k.s.flavor(gb), wish{name: name, image: k.ids[image], network: k.s.networkNamed("private"), key: "me", group: "web"})
}

// start has a server of an image boot to its login.
func (k *cacheStage) start(name, image string) *machine {
	k.t.Helper()
	began := time.Now()
	m := k.ask(name, image)
	k.s.ready(m)
	k.c.awaitConsole(m.id, "login:")
	k.t.Logf("%s of image %s: %.1f s to its login", name, image, time.Since(began).Seconds())
	return m
}

func (k *cacheStage) login(m *machine) *login {
	k.t.Helper()
	if m.float == "" {
		k.s.giveFloating(m)
	}
	return sshTo(k.t, "ember", m.float, k.signer)
}

// refused asks for a server that cannot be, and has its fault say why.
func (k *cacheStage) refused(name, image string, words ...string) {
	k.t.Helper()
	m := k.ask(name, image)
	k.s.await(m, "ERROR")
	fault := must(servers.Get(k.s.ctx, k.s.compute, m.id).Extract())(k.t).Fault.Message
	k.t.Logf("%s: %s", name, fault)
	for _, word := range words {
		if !strings.Contains(fault, word) {
			k.t.Errorf("the fault of %s lacks %q: %s", name, word, fault)
		}
	}
	k.s.remove(m)
}

// holds looks which images are in the cache.
func (k *cacheStage) holds(want ...string) {
	k.t.Helper()
	entries := must(os.ReadDir(filepath.Join(k.c.data, "node", "images")))(k.t)
	var have []string
	for _, e := range entries {
		have = append(have, k.sums[e.Name()])
	}
	for _, name := range want {
		if !strings.Contains(" "+strings.Join(have, " ")+" ", " "+name+" ") {
			k.t.Errorf("the cache lacks %s: %q", name, have)
		}
	}
	if len(have) != len(want) {
		k.t.Errorf("the cache has %q, want %q", have, want)
	}
}

// scales weigh a node's cache of images, and what is on its way into it or out, whenever a
// file there changes.
type scales struct {
	t       *testing.T
	dirs    []string
	fd      int
	mu      sync.Mutex
	limit   int64 // bytes; 0 while it does not hold
	most    int64
	weighed int
	halfway func() // called once when an image is converted just now
}

// weighCache begins to weigh; it ends with the test.
func weighCache(t *testing.T, node string, limit int64) *scales {
	t.Helper()
	s := &scales{t: t, limit: limit, dirs: []string{filepath.Join(node, "tmp"), filepath.Join(node, "images")}}
	s.fd = must(unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK))(t)
	events := os.NewFile(uintptr(s.fd), "inotify")
	done := make(chan bool)
	go func() {
		defer close(done)
		buf := make([]byte, 1<<20)
		for {
			s.now()
			if _, err := events.Read(buf); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		events.Close()
		<-done
	})
	return s
}

// now weighs: each file once, whatever folder it is moved to meanwhile.
func (s *scales) now() (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, growing := map[uint64]bool{}, int64(0)
	for _, dir := range s.dirs {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it went just now
			}
			if d.IsDir() {
				_, err := unix.InotifyAddWatch(s.fd, path, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_DELETE|unix.IN_ONLYDIR)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					s.t.Errorf("watch %s: %v", path, err)
				}
				if name := d.Name(); filepath.Dir(path) == s.dirs[0] && !strings.HasPrefix(name, "image.") && !strings.HasPrefix(name, "gone.") {
					return fs.SkipDir // of disks
				}
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return nil
			}
			st := info.Sys().(*syscall.Stat_t)
			if !seen[st.Ino] {
				seen[st.Ino] = true
				bytes += st.Blocks * 512
			}
			if strings.HasPrefix(path, s.dirs[0]+"/image.") {
				growing = max(growing, st.Blocks*512)
			}
			return nil
		})
	}
	s.weighed++
	s.most = max(s.most, bytes)
	if s.limit > 0 && bytes > s.limit {
		s.t.Errorf("the cache has %d bytes, the limit is %d", bytes, s.limit)
	}
	if s.halfway != nil && growing > 40<<20 {
		s.halfway()
		s.halfway = nil
	}
	return bytes
}

// allow has another limit hold, from begin on.
func (s *scales) allow(limit int64) {
	s.tell()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.most, s.weighed = -limit, 0, 0
}

func (s *scales) begin() {
	s.mu.Lock()
	s.limit, s.most = -s.limit, 0
	s.mu.Unlock()
	s.now()
}

// whileConverting calls do when some of an image that is converted is written, and not all.
func (s *scales) whileConverting(do func()) {
	s.t.Helper()
	did := make(chan bool)
	s.mu.Lock()
	s.halfway = func() {
		do()
		close(did)
	}
	s.mu.Unlock()
	select {
	case <-did:
	case <-time.After(patience):
		s.t.Fatal("no image was converted")
	}
}

func (s *scales) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Logf("weighed %d times: %d MiB at the most, the limit is %d MiB", s.weighed, s.most>>20, s.limit>>20)
}
