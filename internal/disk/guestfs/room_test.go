package guestfs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
)

// TestRoom: what does not fit is refused, and the image stays the same to the byte; what
// goes makes room for what comes after it.
func TestRoom(t *testing.T) {
	for _, kind := range []string{"ext2", "ext4"} {
		path := guestfstest.Image(t, guestfstest.Options{Type: kind, Size: 8 << 20}, func(dir string) {
			guestfstest.Tree(t, dir, "etc/hostname=old\n", "var/log/big="+strings.Repeat("log\n", 750<<10))
		})
		large := bytes.Repeat([]byte("large"), 2<<20)
		for name, change := range map[string]func(*Edit){
			"a file": func(e *Edit) {
				e.Rewrite("/etc/hostname", []byte("new\n"), Owner{})
				e.Write("/opt/large", large, Owner{})
			},
			"many files": func(e *Edit) {
				for i := range 3000 {
					e.Symlink(fmt.Sprintf("/opt/%d", i), "x")
				}
			},
			"what goes too late": func(e *Edit) { e.Write("/opt/a", large[:5<<20], Owner{}); e.Remove("/var/log/big") },
		} {
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := edited(t, path, change); disk.KindOf(err) != disk.TooBig || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("%s, %s: the image was changed, %v", kind, name, err)
			}
		}
		if err := edited(t, path, func(e *Edit) { e.Remove("/var/log/big"); e.Write("/opt/a", large[:5<<20], Owner{}) }); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		guestfstest.Clean(t, path, 0)
	}
}

// edited makes a change of a raw image.
func edited(t *testing.T, path string, change func(*Edit)) error {
	t.Helper()
	d := open(t, path, ReadWrite)
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	e := tree.Edit()
	change(e)
	err = e.Commit(context.Background())
	if cerr := d.Close(); cerr != nil {
		t.Error(cerr)
	}
	return err
}

// gone is a context that is done as soon as somebody has asked it.
type gone struct {
	context.Context
	asked bool
}

func (g *gone) Err() error {
	if g.asked {
		return context.Canceled
	}
	g.asked = true
	return nil
}

func (g *gone) Done() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// TestInterrupted: changes that were begun are made, all of them; none is begun after an
// interrupt.
func TestInterrupted(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, "etc/hostname=old\n") })
	tree, err := open(t, path, ReadWrite).Tree()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ctx  context.Context
		name string
		want string
	}{{&gone{Context: context.Background()}, "new\n", "new\n"}, {&gone{Context: context.Background(), asked: true}, "other\n", "new\n"}} {
		e := tree.Edit()
		e.Rewrite("/etc/hostname", []byte(c.name), Owner{})
		err := e.Commit(c.ctx)
		if got, rerr := tree.ReadFile("/etc/hostname", 100); string(got) != c.want || rerr != nil || (err == nil) != (c.name == c.want) {
			t.Errorf("%q, %v; %v", got, rerr, err)
		}
	}
	guestfstest.Clean(t, path, 0)
}
