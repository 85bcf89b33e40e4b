package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hearth/internal/disk/convert"
	"hearth/internal/disk/ova"
)

// machine is what is said of the machine in an OVA.
type machine struct {
	name, firmware string
	cpus           int
	ram            int64
	nics           []string
}

func (c *conversion) machineFlags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&c.number, "disk", 0, "which disk of an OVA, from 1 on (default: the only one)")
	cmd.Flags().StringVar(&c.provider, "provider", ova.Libvirt, "of Vagrant that a box is for: libvirt or virtualbox")
	cmd.Flags().StringVar(&c.machine.name, "name", "", "of the machine in an OVA (default: the file's name)")
	cmd.Flags().IntVar(&c.machine.cpus, "cpus", 0, "of the machine in an OVA (default: those of an OVA that is converted, else 1)")
	cmd.Flags().Int64Var(&c.machine.ram, "ram", 0, "of the machine in an OVA, MiB (default: that of an OVA that is converted, else 1024)")
	cmd.Flags().StringArrayVar(&c.machine.nics, "nic", nil, "NETWORK[:MODEL] of a network card in an OVA, any number of times; the model is E1000, E1000e, VmxNet3 or VirtIO (default: one)")
	cmd.Flags().StringVar(&c.machine.firmware, "firmware", "", "bios or efi, of the machine in an OVA")
}

// nicModels are the network cards of a machine in an OVA, the usual one first.
var nicModels = []string{"E1000", "E1000e", "VmxNet3", "VirtIO"}

// misplaced refuses what was said of something that is not made.
func (c *conversion) misplaced(cmd *cobra.Command) error {
	if c.to != "box" && cmd.Flags().Changed("provider") {
		return fmt.Errorf("--provider is of a box: leave it out for %s", c.to)
	}
	if c.to == "ova" || c.to == "box" {
		return nil
	}
	for _, name := range []string{"name", "cpus", "ram", "nic", "firmware"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is of a machine in an OVA or a box: leave it out for %s", name, c.to)
		}
	}
	return nil
}

// named is the machine in an OVA, by the file's name if none was said.
func (of machine) named(file string) (m ova.Machine, err error) {
	m = ova.Machine{Name: of.name, CPUs: of.cpus, MemoryMB: of.ram, Firmware: of.firmware}
	if m.Name == "" {
		m.Name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	}
	if m.Firmware != "" && m.Firmware != "bios" && m.Firmware != "efi" {
		return m, fmt.Errorf("--firmware %s: want bios or efi", m.Firmware)
	}
	for _, n := range of.nics {
		network, model, ok := strings.Cut(n, ":")
		if !ok {
			model = nicModels[0]
		}
		at := slices.IndexFunc(nicModels, func(known string) bool { return strings.EqualFold(known, model) })
		if at < 0 {
			return m, fmt.Errorf("--nic %s: the model is E1000, E1000e, VmxNet3 or VirtIO", n)
		}
		model = nicModels[at]
		m.NICs = append(m.NICs, ova.NIC{Network: network, Model: model})
	}
	return m, nil
}

// ova makes a virtual machine in a file.
func (c conversion) ova(cmd *cobra.Command) error {
	m, err := c.machine.named(c.out)
	if err != nil {
		return err
	}
	opt, err := c.options(cmd)
	if err != nil {
		return err
	}
	var made *convert.Result
	if c.to == "box" {
		made, err = convert.Box(cmd.Context(), c.run, opt, m, c.provider)
	} else {
		made, err = convert.OVA(cmd.Context(), c.run, opt, m)
	}
	if err != nil {
		return err
	}
	if c.asJSON {
		return printJSON(cmd.OutOrStdout(), made)
	}
	printMade(cmd.OutOrStdout(), made)
	return nil
}

// printMade says what was made, and what a package said of its machine.
func printMade(w io.Writer, r *convert.Result) {
	fmt.Fprintf(w, "%s  %s of %d bytes, from %s\n", r.File, r.Format, r.VirtualSize, r.From)
	if m := r.Machine; m != nil {
		if m.CPUs > 0 || m.MemoryMB > 0 { // a box for libvirt says it in its Vagrantfile, a program, alone
			fmt.Fprintf(w, "machine %s: %s, %d MiB, %s\n", m.Name, several(m.CPUs, "processor"), m.MemoryMB, several(len(m.NICs), "network card"))
		}
		if r.Format != "ova" && r.Format != "box" {
			fmt.Fprintf(w, "for its image: %s\n", strings.Join(m.Lines(), " "))
		}
	}
}

// several is a number of things.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
