package storagetest

import (
	"bytes"
	"io"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

func writing(t T, d storage.Driver) {
	data := Content("written", mib)
	for _, disk := range append(two(t, d), storage.Disk{ID: "volume-new"}) {
		made, err := d.WriteDisk(t.Context(), disk.ID, 3*mib, bytes.NewReader(data))
		if err != nil || made.ID != disk.ID || made.Size != 3*mib || made.Path == "" || made.Backing != "" {
			t.Fatalf("%+v, %v; was %+v", made, err, disk)
		}
		if found, err := d.Disk(t.Context(), disk.ID); err != nil || found != made {
			t.Errorf("found %+v, %v; was written as %+v", found, err, made)
		}
		same(t, d, disk.ID, append(bytes.Clone(data), make([]byte, 2*mib)...))
	}
	made, err := d.WriteDisk(t.Context(), "volume-new", mib/2, bytes.NewReader(data)) // more than there is room for
	if err != nil || made.Size != mib/2 {
		t.Errorf("%+v, %v", made, err)
	}
	same(t, d, "volume-new", data[:mib/2])
	_, err = d.WriteDisk(t.Context(), "../x", mib, bytes.NewReader(data))
	wantKind(t, err, cloud.Invalid)
	_, err = d.WriteDisk(t.Context(), "none", 0, bytes.NewReader(data))
	wantKind(t, err, cloud.Invalid)
}

// same reads a disk and compares it, where the driver keeps what is written: the
// fake reads zeros.
func same(t T, d storage.Driver, id string, want []byte) {
	t.Helper()
	r, err := d.ReadDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%s: %d bytes, %v; want %d", id, len(got), err, len(want))
	}
	if !bytes.Equal(got, want) && !bytes.Equal(got, make([]byte, len(got))) {
		t.Errorf("%s does not hold what was written", id)
	}
}

func brokenWrite(t T, d storage.Driver) {
	for _, disk := range two(t, d) {
		if _, err := d.WriteDisk(t.Context(), disk.ID, 4*mib, io.MultiReader(bytes.NewReader(make([]byte, mib)), failing{})); err == nil {
			t.Fatal("the write succeeded")
		}
		if found, err := d.Disk(t.Context(), disk.ID); err != nil || found != disk {
			t.Errorf("%+v, %v; was %+v", found, err, disk)
		}
		length(t, d, disk.ID)
	}
	_, err := d.WriteDisk(t.Context(), "volume-half", mib, failing{})
	if err == nil {
		t.Fatal("the write succeeded")
	}
	_, err = d.Disk(t.Context(), "volume-half")
	wantKind(t, err, cloud.NotFound)
}

func reverting(t T, d storage.Driver) {
	data := Content("before", mib)
	if _, err := d.WriteDisk(t.Context(), "volume-r", mib, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CopyDisk(t.Context(), "snapshot-r", "volume-r", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteDisk(t.Context(), "volume-r", 2*mib, bytes.NewReader(Content("after", 2*mib))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		back, err := d.RevertDisk(t.Context(), "volume-r", "snapshot-r")
		if err != nil || back.Size != mib {
			t.Fatalf("%+v, %v", back, err)
		}
		if found, err := d.Disk(t.Context(), "volume-r"); err != nil || found != back {
			t.Errorf("found %+v, %v; reverted to %+v", found, err, back)
		}
		same(t, d, "volume-r", data)
	}
	same(t, d, "snapshot-r", data)
	for _, disk := range two(t, d) { // of a clone too
		if _, err := d.CopyDisk(t.Context(), "snapshot-"+disk.ID, disk.ID, 0); err != nil {
			t.Fatal(err)
		}
		if back, err := d.RevertDisk(t.Context(), disk.ID, "snapshot-"+disk.ID); err != nil || back.Size != disk.Size {
			t.Errorf("%+v, %v", back, err)
		}
	}
	_, err := d.RevertDisk(t.Context(), "volume-r", "snapshot-gone")
	wantKind(t, err, cloud.NotFound)
}

func adopting(t T, d storage.Driver) {
	for _, disk := range two(t, d) {
		id := "volume-new-" + disk.ID
		var made storage.Disk
		for range 2 {
			var err error
			if made, err = d.AdoptDisk(t.Context(), id, disk.ID); err != nil || made.ID != id || made.Size != disk.Size || made.Path == disk.Path {
				t.Fatalf("%+v, %v; was %+v", made, err, disk)
			}
		}
		if found, err := d.Disk(t.Context(), id); err != nil || found != made {
			t.Errorf("found %+v, %v; adopted as %+v", found, err, made)
		}
		_, err := d.Disk(t.Context(), disk.ID)
		wantKind(t, err, cloud.NotFound)
		if n := length(t, d, id); n != disk.Size {
			t.Errorf("%d bytes are read of %+v", n, made)
		}
		if _, err := d.BlankDisk(t.Context(), "volume-other", mib, ""); err != nil {
			t.Fatal(err)
		}
		_, err = d.AdoptDisk(t.Context(), id, "volume-other")
		wantKind(t, err, cloud.Conflict)
	}
	_, err := d.AdoptDisk(t.Context(), "volume-a", "volume-nothing")
	wantKind(t, err, cloud.NotFound)
	_, err = d.AdoptDisk(t.Context(), "../x", "volume-other")
	wantKind(t, err, cloud.Invalid)
}
