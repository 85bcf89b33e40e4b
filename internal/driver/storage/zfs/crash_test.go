package zfs

import (
	"bytes"
	"strings"
	"testing"
)

// TestCrashes kills the process after each of the commands that change something, starts it
// again, and wants a disk with what it held or what it was to hold, and nothing in the making.
func TestCrashes(t *testing.T) {
	ctx := t.Context()
	was, is := text("was"), text("is to be")
	for name, c := range map[string]struct {
		change func(d *Driver) error
		gone   bool // is a way to end too
	}{
		"write":  {change: func(d *Driver) error { return failed(d.WriteDisk(ctx, "a", 256<<10, bytes.NewReader(is))) }},
		"revert": {change: func(d *Driver) error { return failed(d.RevertDisk(ctx, "a", "other")) }},
		"copy":   {change: func(d *Driver) error { return failed(d.CopyDisk(ctx, "new", "a", 0)) }},
		"remove": {change: func(d *Driver) error { return d.RemoveDisk(ctx, "a") }, gone: true},
		"read": {change: func(d *Driver) error {
			r, err := d.ReadDisk(ctx, "a")
			if err == nil {
				err = r.Close()
			}
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for after := range 30 {
				f := newFakeZFS(t)
				p := place{host: f, dataset: "tank/hearth"}
				d := p.open(t, "")
				write(t, d, "other", is)
				write(t, d, "a", was)
				for _, id := range []string{"copy1", "copy2"} {
					if _, err := d.CopyDisk(ctx, id, "a", 0); err != nil {
						t.Fatal(err)
					}
				}
				f.left = after
				err := c.change(d)
				ended := f.left != 0 || err == nil
				f.left = -1
				d = p.open(t, "")
				all, listed := d.list(ctx)
				for name, v := range all {
					if strings.HasPrefix(name, "p-") {
						t.Errorf("after %d commands: %s is left (%v)", after, name, f.said)
					}
					for _, s := range v.Snaps {
						if !s.Deferred || len(s.Clones) == 0 {
							t.Errorf("after %d commands: %s@%+v is left (%v)", after, name, s, f.said)
						}
					}
				}
				if listed != nil {
					t.Fatal(listed)
				}
				if _, missing := d.Disk(ctx, "a"); !c.gone || missing == nil {
					if got := content(t, d, "a"); !bytes.Equal(got, was) && !bytes.Equal(got, is) {
						t.Errorf("after %d commands it holds %q…", after, got[:20])
					}
				}
				for _, id := range []string{"copy1", "copy2"} {
					if got := content(t, d, id); !bytes.Equal(got, was) {
						t.Errorf("after %d commands %s holds %q…", after, id, got[:20])
					}
				}
				if err := c.change(d); err != nil {
					t.Errorf("after %d commands, once more: %v", after, err)
				}
				if ended {
					return
				}
			}
			t.Error("it never ended")
		})
	}
}

// TestWhatIsToReplaceIsKept has a disk removed that its replacement cannot take the place of: that
// is not removed too.
func TestWhatIsToReplaceIsKept(t *testing.T) {
	f := newFakeZFS(t)
	p := place{host: f, dataset: "tank/hearth"}
	d := p.open(t, "")
	write(t, d, "a", text("was"))
	f.refused = "rename"
	if _, err := d.WriteDisk(t.Context(), "a", 256<<10, bytes.NewReader(text("is to be"))); err == nil {
		t.Fatal("the write succeeded")
	}
	f.refused = ""
	if got := content(t, p.open(t, ""), "a"); !bytes.Equal(got, text("is to be")) {
		t.Errorf("it holds %q…", got[:20])
	}
	f.refused = "promote"
	if _, err := d.CopyDisk(t.Context(), "b", "a", 0); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveDisk(t.Context(), "a"); err == nil {
		t.Fatal("it was removed")
	}
	f.refused = ""
	if got := content(t, d, "a"); !bytes.Equal(got, text("is to be")) {
		t.Errorf("it holds %q…", got[:20])
	}
	if err := d.RemoveDisk(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}
