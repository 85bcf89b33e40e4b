package storagetest

import (
	"io"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// two are a blank disk and a clone of an image.
func two(t T, d storage.Driver) []storage.Disk {
	t.Helper()
	blank, err := d.BlankDisk(t.Context(), "volume-blank", 2*mib, "")
	if err != nil {
		t.Fatal(err)
	}
	clone, err := d.CloneDisk(t.Context(), "volume-clone", ensure(t, d, "volume", mib), mib)
	if err != nil {
		t.Fatal(err)
	}
	return []storage.Disk{blank, clone}
}

func copies(t T, d storage.Driver) {
	for _, from := range two(t, d) {
		id := "copy-of-" + from.ID
		made, err := d.CopyDisk(t.Context(), id, from.ID, 0)
		if err != nil || made.ID != id || made.Size != from.Size || made.Path == from.Path {
			t.Fatalf("%+v, %v; of %+v", made, err, from)
		}
		for range 2 { // the copy is there, whatever becomes of its source
			if again, err := d.CopyDisk(t.Context(), id, from.ID, 0); err != nil || again != made {
				t.Errorf("%+v, %v; first %+v", again, err, made)
			}
			if err := d.RemoveDisk(t.Context(), from.ID); err != nil {
				t.Fatal(err)
			}
		}
		if n := length(t, d, id); n != from.Size {
			t.Errorf("%d bytes are read of %+v", n, made)
		}
	}
	_, err := d.CopyDisk(t.Context(), "of-nothing", "volume-blank", 0)
	wantKind(t, err, cloud.NotFound)
	_, err = d.CopyDisk(t.Context(), "../x", "volume-blank", 0)
	wantKind(t, err, cloud.Invalid)
}

func copySizes(t T, d storage.Driver) {
	for _, from := range two(t, d) {
		larger, err := d.CopyDisk(t.Context(), "larger-"+from.ID, from.ID, 4*mib)
		if err != nil || larger.Size != 4*mib {
			t.Errorf("%+v, %v", larger, err)
		}
		if n := length(t, d, larger.ID); n != 4*mib {
			t.Errorf("%d bytes are read of %+v", n, larger)
		}
		_, err = d.CopyDisk(t.Context(), "smaller-"+from.ID, from.ID, mib/2)
		wantKind(t, err, cloud.Invalid)
		_, err = d.Disk(t.Context(), "smaller-"+from.ID)
		wantKind(t, err, cloud.NotFound)
	}
}

func growth(t T, d storage.Driver) {
	for _, disk := range two(t, d) {
		for _, size := range []int64{6 * mib, 6 * mib, mib} {
			grown, err := d.GrowDisk(t.Context(), disk.ID, size)
			if err != nil || grown.Size != 6*mib || grown.Path != disk.Path {
				t.Fatalf("%+v, %v; was %+v", grown, err, disk)
			}
			if found, err := d.Disk(t.Context(), disk.ID); err != nil || found != grown {
				t.Errorf("found %+v, %v; grown to %+v", found, err, grown)
			}
		}
		if n := length(t, d, disk.ID); n != 6*mib {
			t.Errorf("%d bytes are read of %+v", n, disk)
		}
	}
	_, err := d.GrowDisk(t.Context(), "nothing", mib)
	wantKind(t, err, cloud.NotFound)
}

func reading(t T, d storage.Driver) {
	for _, disk := range two(t, d) {
		if n := length(t, d, disk.ID); n != disk.Size {
			t.Errorf("%d bytes are read of %+v", n, disk)
		}
	}
	_, err := d.ReadDisk(t.Context(), "nothing")
	wantKind(t, err, cloud.NotFound)
}

// length reads a disk to its end.
func length(t T, d storage.Driver, id string) int64 {
	t.Helper()
	r, err := d.ReadDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
