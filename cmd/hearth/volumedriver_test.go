package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
	"hearth/internal/driver/storage/storagetest"
)

// forgetful is a driver that loses what is written over a disk that is there.
type forgetful struct{ storage.Driver }

func (f forgetful) GrowDisk(ctx context.Context, id string, _ int64) (storage.Disk, error) {
	return f.Disk(ctx, id)
}

func TestDriverTestTellsGoodFromBad(t *testing.T) {
	good, err := fake.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := good.BlankDisk(t.Context(), "volume-of-a-user", 1<<20, ""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d      storage.Driver
		only   string
		passes bool
		want   string
	}{
		{good, "", true, "24 of 24 cases passed"},
		{forgetful{good}, "a disk", false, "FAILED  a disk grows and never shrinks"},
		{good, "no such case", false, ""},
	} {
		var said bytes.Buffer
		err := runCases(t.Context(), storagetest.Within(c.d), c.only, &said)
		var code exitCode
		if (err == nil) != c.passes || !strings.Contains(said.String(), c.want) || c.want != "" && err != nil && !errors.As(err, &code) {
			t.Errorf("%v, want %q in:\n%s", err, c.want, said.String())
		}
	}
	if left, err := good.Disks(t.Context()); err != nil || len(left) != 1 || left[0].ID != "volume-of-a-user" {
		t.Errorf("left: %v, %v", left, err)
	}
}
