package e2e

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"golang.org/x/sys/unix"
)

// TestBakeInCloud bakes in a server of the cloud: once with an empty cache, once killed, once
// more with what is in the cache, and once with another file in the recipe. The builder is a
// Debian that is baked and published here.
func TestBakeInCloud(t *testing.T) {
	bin := needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("takes many minutes: set HEARTH_E2E_ALL=1")
	}
	c := newCloud(t, "qemu")
	s := c.session()
	mirror := mirrorOnHost(t, "172.24.5.1:8099")
	dir := tempDir(t)
	env := append(append(os.Environ(), c.conf...), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	hearth := func(args ...string) string { t.Helper(); return c.run(env, bin, args...) }

	builderImage(t, c, env, mirror, dir)
	s.sizedFlavor("builder", 2048, 2, 6)
	recipe := filepath.Join(dir, "r")
	hearth("bake", "init", "ember", recipe)
	bake := func() *exec.Cmd {
		cmd := exec.Command(bin, "bake", "run", recipe, "--in-cloud", "--flavor", "builder", "--cache-volume-size", "4", "--builder-timeout", "40m", "-o", filepath.Join(dir, "out"))
		cmd.Env = env
		return cmd
	}
	first, came, _ := timedBake(t, bake())
	if n := len(came); n < 2 || came[n-1]-came[0] < first/4 {
		t.Errorf("the builder's words came after %v, all at once", came)
	}
	killedBake(t, s, bake())
	second, _, _ := timedBake(t, bake())
	ratio := second.Seconds() / first.Seconds()
	t.Logf("the bake in the builder: %s, then %s: %.0f %%", first, second, 100*ratio)
	if ratio > 0.25 {
		t.Errorf("the second bake took %.0f %% of the first one's time, want 25 at most", 100*ratio)
	}
	if err := os.WriteFile(filepath.Join(recipe, "overlay/etc/motd"), []byte("another message\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	third, _, said := timedBake(t, bake())
	t.Logf("the bake of the recipe with another file: %s: %.0f %%", third, 100*third.Seconds()/first.Seconds())
	for layer, want := range map[string]string{"base": "cached", "overlay": "built", "images": "built"} {
		if !regexp.MustCompile(`layer ` + layer + ` +` + want).MatchString(said) {
			t.Errorf("the layer %s was not %s", layer, want)
		}
	}
	checkBaked(t, s, 3)
	nothingLeft(t, s)
}

// builderImage bakes the scaffold of the builder with the mirror, and publishes it.
func builderImage(t *testing.T, c *theCloud, env []string, mirror, dir string) {
	t.Helper()
	out := os.Getenv("HEARTH_E2E_BUILDER") // a folder in which it is kept
	if out == "" {
		out = filepath.Join(dir, "builder-out")
	}
	if _, err := os.Stat(filepath.Join(out, "builder.json")); err != nil {
		recipe := filepath.Join(dir, "builder")
		c.run(env, c.bin, "bake", "init", "builder", recipe)
		sources := filepath.Join(recipe, "overlay/etc/apt/sources.list")
		err := errors.Join(os.MkdirAll(filepath.Dir(sources), 0o755), os.WriteFile(sources, []byte("deb "+mirror+" bookworm main\n"), 0o644))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.run(env, c.bin, "bake", "run", recipe, "-o", out, "--boot-test=false", "--quiet")
		t.Logf("the builder's image was baked in %s", time.Since(start).Round(time.Second))
	}
	t.Log(c.run(env, c.bin, "bake", "publish", filepath.Join(out, "builder.json"), "--cloud"))
}

var bakeTook = regexp.MustCompile(`the bake in the builder took (\S+)`)

// timedBake bakes and gives the time that the builder had for it, when its words came, and all
// that was said.
func timedBake(t *testing.T, cmd *exec.Cmd) (took time.Duration, came []time.Duration, said string) {
	t.Helper()
	l := &liveLog{t: t, start: time.Now()}
	cmd.Stdout, cmd.Stderr = l, l
	t.Log(strings.Join(cmd.Args[1:], " "))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	t.Logf("it took %s", time.Since(l.start).Round(time.Second))
	found := bakeTook.FindStringSubmatch(l.all.String())
	if found == nil {
		t.Fatal("it does not say how long it took")
	}
	return must(time.ParseDuration(found[1]))(t), l.came, l.all.String()
}

// liveLog logs what a bake says with the time at which it came, and notes that of the
// builder's words: those between its login and what the client tells of the layers.
type liveLog struct {
	t     *testing.T
	start time.Time
	all   strings.Builder
	bakes bool
	came  []time.Duration
}

// Write is called by one goroutine: both streams are this one.
func (l *liveLog) Write(p []byte) (int, error) {
	at := time.Since(l.start)
	l.all.Write(p)
	l.t.Logf("%6.1f s  %s", at.Seconds(), strings.TrimRight(string(p), "\n"))
	switch {
	case strings.Contains(string(p), "lets one in"):
		l.bakes = true
	case strings.Contains(string(p), "the bake in the builder took"):
		l.bakes = false
	case l.bakes:
		l.came = append(l.came, at)
	}
	return len(p), nil
}

// killedBake kills a bake when its builder runs.
func killedBake(t *testing.T, s *session, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a builder runs", func() bool {
		list := builders(t, s)
		return len(list) == 1 && list[0].Status == "ACTIVE"
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Logf("killed; %s is left", builders(t, s)[0].Name)
}

func builders(t *testing.T, s *session) []servers.Server {
	t.Helper()
	return must(servers.ExtractServers(must(servers.List(s.compute, servers.ListOpts{Name: "^hearth-bake-"}).AllPages(s.ctx))(t)))(t)
}

// checkBaked looks for the images of so many bakes, and the papers of one.
func checkBaked(t *testing.T, s *session, bakes int) {
	t.Helper()
	list := must(images.ExtractImages(must(images.List(s.image, images.ListOpts{Name: "ember"}).AllPages(s.ctx))(t)))(t)
	if len(list) != bakes {
		t.Fatalf("%d images are called ember, want one of each of %d bakes", len(list), bakes)
	}
	i := list[0]
	papers, _ := i.Properties["hearth_papers"].(string)
	if i.Properties["hearth_boot_test"] != "pass" || i.Properties["os_admin_user"] != "ember" || papers == "" {
		t.Errorf("%+v", i.Properties)
	}
	body := must(imagedata.Download(s.ctx, s.image, papers).Extract())(t)
	defer body.Close()
	archive := tar.NewReader(must(gzip.NewReader(body))(t))
	have := map[string]int64{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		have[h.Name] = h.Size
	}
	for _, name := range []string{"ember.json", "ember.sbom.spdx.json", "ember.sources.txt", "ember.licences.txt", "recipe.lock", "boot-test.json", "boot-test.xml", "console.log"} {
		if have["ember/"+name] == 0 {
			t.Errorf("the papers lack %s: %v", name, have)
		}
	}
}

func nothingLeft(t *testing.T, s *session) {
	t.Helper()
	for _, b := range builders(t, s) {
		t.Errorf("server %s is left", b.Name)
	}
	for _, k := range must(keypairs.ExtractKeyPairs(must(keypairs.List(s.compute, nil).AllPages(s.ctx))(t)))(t) {
		t.Errorf("key %s is left", k.Name)
	}
	for _, g := range must(groups.ExtractGroups(must(groups.List(s.network, groups.ListOpts{}).AllPages(s.ctx))(t)))(t) {
		if strings.HasPrefix(g.Name, "hearth-bake") {
			t.Errorf("group %s is left", g.Name)
		}
	}
}

// mirrorOnHost offers Debian's archive to guests at an address of the host's end of their
// public network. It asks for it from the network that the host has, wherever this test runs:
// that of the first process, or of the file that HEARTH_E2E_OUTSIDE names.
func mirrorOnHost(t *testing.T, address string) string {
	t.Helper()
	target := must(url.Parse("http://deb.debian.org"))(t)
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{DialContext: dialOnHost},
	}
	l := must(net.Listen("tcp", address))(t)
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return fmt.Sprintf("http://%s/debian", address)
}

// dialOnHost connects from the network namespace that has the host's network.
func dialOnHost(ctx context.Context, network, addr string) (net.Conn, error) {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer own.Close()
	hosts, err := os.Open(cmp.Or(os.Getenv("HEARTH_E2E_OUTSIDE"), "/proc/1/ns/net"))
	switch {
	case errors.Is(err, os.ErrPermission): // not even root may look into the first process here: this one's namespace it is
	case err != nil:
		return nil, err
	default:
		defer hosts.Close()
		if err := unix.Setns(int(hosts.Fd()), unix.CLONE_NEWNET); err != nil {
			return nil, err
		}
	}
	defer func() {
		if unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // else the thread ends with this goroutine
		}
	}()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	found, err := exec.CommandContext(ctx, "getent", "ahostsv4", host).Output()
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(strings.Fields(string(found))[0], port))
}
