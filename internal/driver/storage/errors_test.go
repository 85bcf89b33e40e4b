package storage

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"hearth/internal/cloud"
)

func TestHostError(t *testing.T) {
	known := cloud.E("x", cloud.NotFound, "no disk")
	if got := HostError("op", "full", known); !errors.Is(got, known) || !cloud.Is(got, cloud.NotFound) {
		t.Error(got)
	}
	for _, err := range []error{&os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, syscall.EDQUOT} {
		if got := HostError("op", "the pool is full", err); !cloud.Is(got, cloud.NoCapacity) || !strings.Contains(got.Error(), "the pool is full: ") || !errors.Is(got, err) {
			t.Error(got)
		}
	}
	if got := HostError("op", "full", context.Canceled); !cloud.Is(got, cloud.Unavailable) {
		t.Error(got)
	}
	if got := HostError("op", "full", os.ErrPermission); got != nil {
		t.Error(got)
	}
	if got := HostError("op", "full", nil); got != nil {
		t.Error(got)
	}
}
