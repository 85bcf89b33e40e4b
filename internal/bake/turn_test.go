package bake

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTurn: of two bakes with one cache the second waits for the packages of the first, and says so;
// an interrupt ends the wait.
func TestTurn(t *testing.T) {
	dir := t.TempDir()
	waits := make(chan string, 9)
	ovenOf := func(tell func(Step)) *oven {
		return &oven{Options: Options{CacheDir: dir}, steps: steps{tell: tell, now: time.Now}}
	}
	first, err := ovenOf(nil).turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := ovenOf(func(s Step) { waits <- s.Name })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := second.turn(ctx); ended <- err }()
	if said := <-waits; !strings.Contains(said, "wait for another bake") {
		t.Error(said)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("it has its turn beside the first")
	}
	got := make(chan func())
	third := ovenOf(func(s Step) { waits <- s.Name })
	for len(waits) > 0 {
		<-waits
	}
	go func() {
		done, err := third.turn(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- done
	}()
	<-waits
	first()
	(<-got)()
}

// TestImagesAreAsPrivate as the umask says: an image may hold secrets.
func TestImagesAreAsPrivate(t *testing.T) {
	for umask, want := range map[int]os.FileMode{0o022: 0o644, 0o077: 0o600} {
		o := &oven{Options: Options{Recipe: "x", OutDir: t.TempDir()}, work: t.TempDir(), steps: steps{now: time.Now}}
		made := filepath.Join(o.work, "packed")
		if err := os.WriteFile(made, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		res := Result{}
		before := unix.Umask(umask)
		err := o.publish(&res, []move{{made, ".qcow2", &res.Disk}})
		unix.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{res.Disk, res.Manifest} {
			if st, err := os.Stat(name); err != nil || st.Mode() != want {
				t.Errorf("umask %o: %v, %v", umask, st, err)
			}
		}
	}
}
