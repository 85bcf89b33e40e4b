package qemu

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

const kvmDevice = "/dev/kvm"

// minimumRate is what tells hardware from an emulator that calls itself KVM, in turns of a two-instruction loop a second.
// VT-x and SVM do more than 1000 million, KVM-PVM's instruction emulator 0.8 million, QEMU's TCG about 300 million (LAB.md 2).
const minimumRate = 50e6

// measurement is what the look at KVM found.
type measurement struct {
	Rate    float64 `json:"rate"`    // loops a second; 0 when nothing ran
	Problem string  `json:"problem"` // why nothing ran: a sentence
}

// choice of an accelerator.
type choice struct {
	accel, reason, warning string
}

// choose decides by the setting, the measurement and whether guests may open the device. measure is asked only if
// it matters.
func choose(setting string, measure func() measurement, openable bool) (choice, measurement, error) {
	switch setting {
	case "tcg":
		return choice{accel: "tcg", reason: "the configuration says so"}, measurement{}, nil
	case "kvm":
		return choice{accel: "kvm", reason: "the configuration says so"}, measurement{}, nil
	case "", "auto":
	default:
		return choice{}, measurement{}, fmt.Errorf("accelerator %q is not auto, kvm or tcg", setting)
	}
	m := measure()
	c := choice{accel: "tcg"}
	switch {
	case m.Problem != "":
		c.reason = m.Problem
		c.warning = "guests run without hardware virtualisation, about ten times slower: " + m.Problem
	case m.Rate < minimumRate:
		c.reason = fmt.Sprintf("KVM runs %.2g million loops a second, real hardware over %.0f million", m.Rate/1e6, minimumRate/1e6)
		c.warning = "guests run without hardware virtualisation: the KVM of this host emulates each instruction"
	case !openable:
		c.reason = "KVM is fast, but guests may not open " + kvmDevice
		c.warning = c.reason + "; let a group do it: chgrp kvm /dev/kvm && chmod 0660 /dev/kvm"
	default:
		c = choice{accel: "kvm", reason: fmt.Sprintf("KVM runs %.0f million loops a second", m.Rate/1e6)}
	}
	return c, m, nil
}

// openable tells whether a guest's process could open the device: it has its user's rights, or ours.
func openable(drop bool) bool {
	info, err := os.Stat(kvmDevice)
	if err != nil {
		return false
	}
	mode := info.Mode().Perm()
	if !drop || mode&0o006 == 0o006 {
		return true // as this process, which has just opened it
	}
	return mode&0o060 == 0o060 && info.Sys().(*syscall.Stat_t).Gid != 0
}

// hopeless names a reason to not even try; "" if there is none.
func hopeless(err error) string {
	switch {
	case os.IsNotExist(err):
		return "there is no " + kvmDevice + ": switch on VT-x or SVM in the firmware and load kvm_intel or kvm_amd"
	case os.IsPermission(err):
		return kvmDevice + " may not be opened: join the group that owns it (usermod -aG kvm)"
	case err != nil:
		return strings.TrimSuffix(err.Error(), ".")
	}
	return ""
}
