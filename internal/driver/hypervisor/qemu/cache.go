package qemu

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
)

// cacheFile holds the last measurement of KVM. It is good for one run of the host's kernel: firmware
// settings and modules change between two.
const cacheFile = "kvm-speed.json"

type cached struct {
	BootID string `json:"boot_id"`
	measurement
}

// remembered measures once per boot. A cache that cannot be read or written costs the time of measuring, nothing else.
func remembered(dir, boot string, measure func() measurement, log *slog.Logger) measurement {
	if dir == "" || boot == "" {
		return measure()
	}
	path := filepath.Join(dir, cacheFile)
	var c cached
	if raw, err := os.ReadFile(path); err == nil && json.Unmarshal(raw, &c) == nil && c.BootID == boot {
		return c.measurement
	}
	c = cached{BootID: boot, measurement: measure()}
	if c.Problem != "" {
		return c.measurement // may be mended without a reboot
	}
	raw, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(path+".new", raw, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		log.Info("the measured speed of KVM could not be kept", "err", err)
	}
	return c.measurement
}
