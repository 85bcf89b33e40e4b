package bls

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"

	"hearth/internal/disk"
)

// Debian's GRUB has no blscfg, which Fedora's has to read such entries. But its language
// is near enough to theirs: a file of words and values is a script of commands, and title,
// version, initrd and options can be functions of ours. Only linux and initrd are commands
// of GRUB's own, and those come before functions: so their module is not built in, and is
// loaded when an entry was chosen.

// Prefix is the folder of GRUB's menu and modules below /boot: one of its own, for
// the distribution's tools write to /boot/grub and /boot/grub2 what this GRUB cannot read.
const Prefix = "/hearth"

// ConfigPath is the menu's, with /boot.
const ConfigPath = "/boot" + Prefix + "/grub.cfg"

// Modules to build into GRUB besides those that read the disk.
var Modules = []string{"normal", "configfile", "serial", "terminal", "terminfo", "echo", "test", "true", "search", "search_fs_uuid", "loadenv", "regexp", "eval", "gzio", "minicmd", "sleep", "ls", "cat", "halt", "reboot",
	"relocator", "verifiers", "boot", "video", "mmap", "vbe"}

// later are the modules that are loaded when an entry was chosen.
var later = []string{"linux", "linux16"}

// modulesDir is where Debian's grub-pc-bin has them.
const modulesDir = "/usr/lib/grub/" + disk.GRUBForBIOS

// Load gives the modules that GRUB loads, by their paths in the guest. ToolMissing if GRUB
// is not installed here.
func Load() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range later {
		b, err := disk.ReadGRUB("make bootable", filepath.Join(modulesDir, name+".mod"))
		if err != nil {
			return nil, err
		}
		files["/boot"+Prefix+"/"+disk.GRUBForBIOS+"/"+name+".mod"] = b
	}
	return files, nil
}

// Menu has GRUB show the entries.
type Menu struct {
	Boot       string // path of /boot in its partition: "" or "/boot"
	Entries    string // path of $BOOT there, likewise, or "/efi" and so on
	Serial     bool   // on the serial line too
	KernelOpts string // for entries that name it, where the environment block does not; "" for none
	Fallback   string // menuentry lines for the case that no entry can be started
}

//go:embed menu.cfg
var script string

// Config is the menu, as GRUB reads it.
func (m Menu) Config() []byte {
	serial := ""
	if m.Serial {
		serial = disk.GRUBSerial
	}
	opts := ""
	if m.KernelOpts != "" {
		opts = fmt.Sprintf("if [ -z \"$kernelopts\" ]; then\n\tset kernelopts=\"%s\"\nfi\n", strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`).Replace(m.KernelOpts))
	}
	return []byte(strings.NewReplacer("@SERIAL@\n", serial, "@KERNELOPTS@\n", opts, "@BOOT@", m.Boot, "@ENTRIES@", m.Entries, "@FALLBACK@\n", m.Fallback).Replace(script))
}

// Strange tells what in an entry GRUB's language would read otherwise than it is
// meant; "" if there is nothing.
func (e *Entry) Strange() string {
	for _, text := range []string{e.Title, e.Version, e.Linux, strings.Join(e.Initrds, " "), e.Options} {
		if i := strings.IndexAny(text, `'"\{}|&;<>#`); i >= 0 {
			return text[i : i+1]
		}
	}
	return ""
}
