// Command hearth-guest is the guest agent for images without cloud-init. It
// runs once at each boot: it lets the root file system fill its disk, finds the
// instance's metadata (a config drive, or OpenStack's metadata service), sets the
// host name, mounts volumes that have a file system for it, makes host keys of its own for a new instance, installs the ssh
// keys and runs the user-data script once per instance. What it does, it says
// on the console.
//
// It is linked static and small, so that it can be put into any Linux image:
// it needs no shell, no resolver and no library, and starts in milliseconds
// even where the processor is emulated. That is why it speaks HTTP itself.
//
//	hearth-guest boot [-- COMMAND...]   do the above, then become COMMAND (an ssh server)
//	hearth-guest late                   what boot leaves to the background
//	hearth-guest power                  shut down when the power button is pressed; mount volumes as they come
//	(as the first program, with /job)   the work of an appliance, see internal/disk/appliance
//	sudo [-i | COMMAND...]              called by this name: run as root
//	hearth-shell [ARGUMENTS...]         called by this name: a shell that can ping
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"hearth/internal/disk/appliance/inside"
)

func main() {
	if inside.Is() {
		inside.Main()
	}
	if filepath.Base(os.Args[0]) == "sudo" {
		os.Exit(sudo(os.Args[1:]))
	}
	if isShell(os.Args[0]) {
		os.Exit(shell(os.Args))
	}
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	g := newGuest("/", openConsole())
	var err error
	switch verb {
	case "boot":
		g.boot()
		err = become(os.Args[2:])
	case "late":
		g.late()
	case "power":
		err = g.power()
	default:
		fmt.Fprintln(os.Stderr, "usage: hearth-guest boot [-- COMMAND...] | late | power")
		os.Exit(2)
	}
	if err != nil {
		g.say("%v", err)
		os.Exit(1)
	}
}

// become replaces this process by the command after "--", if there is one.
func become(args []string) error {
	if len(args) < 2 || args[0] != "--" {
		return nil
	}
	env := append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	if err := syscall.Exec(args[1], args[1:], env); err != nil {
		return fmt.Errorf("start %s: %w", args[1], err)
	}
	return nil
}
