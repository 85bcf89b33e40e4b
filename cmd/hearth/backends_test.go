package main

import (
	"log/slog"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// TestBackendsWithoutTheirCommands has each driver that runs commands say what is to be installed,
// as 'hearth volume driver-test' opens it.
func TestBackendsWithoutTheirCommands(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, c := range []struct {
		backend config.Backend
		install string
	}{
		{config.Backend{Name: "fast", Driver: "lvm", Group: "BwtWUV-MO99-w2eJ-vsml-wjO3-Za48-2HUZar"}, "lvm2"},
		{config.Backend{Name: "tank", Driver: "zfs", Dataset: "tank/hearth", Options: map[string]string{"volblocksize": "8k"}}, "zfsutils-linux"},
		{config.Backend{Name: "ceph", Driver: "rbd", Pool: "volumes"}, "ceph-common"},
	} {
		cfg := config.Default()
		cfg.Volume.Backends = config.Backends{c.backend}
		b, err := namedBackend(&cfg, c.backend.Name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = openBackend(t.Context(), b, place{sub: "x", owner: "driver-test", tmp: t.TempDir(), log: slog.New(slog.DiscardHandler)})
		if !cloud.Is(err, cloud.Unsupported) || !strings.Contains(err.Error(), "install the package "+c.install) {
			t.Errorf("%s: %v", c.backend.Name, err)
		}
	}
	b := config.Backend{Name: "tank", Driver: "zfs", Dataset: "tank/hearth", Options: map[string]string{"volblocksize": "12k"}}
	if _, err := openBackend(t.Context(), b, place{owner: "driver-test", tmp: t.TempDir()}); !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), "volblocksize") {
		t.Errorf("a block size that is none: %v", err)
	}
}
