package volume

import (
	"context"
	"io"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
)

// noGuests have no disk open.
type noGuests struct{ quiesced []string }

func (g *noGuests) GrowVolume(context.Context, string, int64) (bool, error) { return false, nil }

func (g *noGuests) Quiesce(_ context.Context, disk string, fn func() error) error {
	g.quiesced = append(g.quiesced, disk)
	return fn()
}

// backed is a driver whose clones of images and copies lie on another disk, as
// qcow2 overlays do, but for those that it writes out.
type backed struct {
	storage.Driver
	over map[string]string
	wrote,
	removed []string
}

func (b *backed) put(d storage.Disk, err error, over string) (storage.Disk, error) {
	if err == nil {
		b.over[d.ID] = over
		d.Backing = over
	}
	return d, err
}

func (b *backed) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	d, err := b.Driver.CopyDisk(ctx, id, from, size)
	return b.put(d, err, b.over[from])
}

func (b *backed) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	d, err := b.Driver.CopyRoot(ctx, id, from, size)
	return b.put(d, err, b.over[from])
}

func (b *backed) Disk(ctx context.Context, id string) (storage.Disk, error) {
	d, err := b.Driver.Disk(ctx, id)
	d.Backing = b.over[id]
	return d, err
}

func (b *backed) ReadDisk(_ context.Context, id string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("what " + id + " holds")), nil
}

func (b *backed) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	text, err := io.ReadAll(src)
	if err != nil {
		return storage.Disk{}, err
	}
	b.wrote = append(b.wrote, id+": "+string(text))
	delete(b.over, id)
	return b.BlankDisk(ctx, id, size, "")
}

func (b *backed) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	b.over[id] = b.over[from]
	delete(b.over, from)
	return b.Driver.AdoptDisk(ctx, id, from)
}

func (b *backed) RemoveDisk(ctx context.Context, id string) error {
	if _, err := b.Driver.Disk(ctx, id); err == nil {
		b.removed = append(b.removed, id)
	}
	return b.Driver.RemoveDisk(ctx, id)
}

// TestWhole: a disk that several guests may have has nothing beneath it, and what it
// was made from is not left behind; a copy with nothing beneath is taken as it is.
func TestWhole(t *testing.T) {
	for _, x := range []struct {
		name, beneath string
		whole         bool
		wrote         int
	}{
		{"a plain copy keeps what lies beneath", "image", false, 0},
		{"a whole one is written out", "image", true, 1},
		{"what has nothing beneath is adopted", "", true, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := &backed{Driver: fake.New(), over: map[string]string{}}
			if _, err := b.BlankDisk(t.Context(), "volume-from", 1<<20, ""); err != nil {
				t.Fatal(err)
			}
			b.over["volume-from"] = x.beneath
			guests := &noGuests{}
			m := New(b, nil, func() Guests { return guests })
			spec := cloud.VolumeSpec{ID: "volume-to", From: "volume-from", SizeBytes: 2 << 20, Whole: x.whole}
			for range 2 { // the second is a repetition after a crash: nothing is done
				status, err := m.Apply(t.Context(), spec)
				if err != nil || status.ID != "volume-to" || status.SizeBytes != 2<<20 {
					t.Fatalf("%+v, %v", status, err)
				}
			}
			d, err := b.Disk(t.Context(), "volume-to")
			if err != nil || x.whole == (d.Backing != "") && x.beneath != "" {
				t.Errorf("the disk is %+v, %v", d, err)
			}
			if len(b.wrote) != x.wrote || x.wrote > 0 && b.wrote[0] != "volume-to: what volume-to.seed holds" {
				t.Errorf("written: %q", b.wrote)
			}
			list, err := m.Statuses(t.Context())
			if err != nil || len(list) != 2 {
				t.Errorf("left behind: %+v, %v", list, err)
			}
			if _, err := b.Driver.Disk(t.Context(), "volume-to.seed"); !cloud.Is(err, cloud.NotFound) {
				t.Errorf("the seed is there: %v", err)
			}
			if len(guests.quiesced) != 1 || guests.quiesced[0] != "volume-from" {
				t.Errorf("quiesced %v", guests.quiesced)
			}
		})
	}
}

// TestOfRoot: the root disk of a server may become a volume, other disks of servers
// may not.
func TestOfRoot(t *testing.T) {
	b := &backed{Driver: fake.New(), over: map[string]string{}}
	m := New(b, nil, func() Guests { return &noGuests{} })
	for from, ok := range map[string]bool{"s-root": true, "s-root.12": true, "s-swap": false, "s-root.x": false, "s-root.-1": false, "../root": false} {
		if from != "../root" {
			if _, err := b.BlankDisk(t.Context(), from, 1<<20, ""); err != nil {
				t.Fatal(err)
			}
		}
		_, err := m.Apply(t.Context(), cloud.VolumeSpec{ID: "volume-of" + strings.Trim(from, "./"), From: from, SizeBytes: 1 << 20})
		if ok != (err == nil) {
			t.Errorf("%s: %v", from, err)
		}
	}
}

func (*noGuests) Renew(_ context.Context, _ string, fn func() error) error { return fn() }
func (*noGuests) Withdraw(context.Context, string) error                   { return nil }
