// Package netboot makes the small CD-ROM by which a server starts an installer over its own
// network: iPXE, with a script that fetches a kernel, or whatever else is to be started.
package netboot

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"hearth/internal/bake/installer"
	"hearth/internal/disk"
)

// IPXE is where Debian's package ipxe has iPXE's own CD-ROM, of which ours is made.
const IPXE = "/usr/lib/ipxe/ipxe.iso"

// Start is what a server starts with.
type Start struct {
	// URL is that of a kernel, with Ramdisks; of an installer's folder, ending in "/"; else
	// of an iPXE script or a program that iPXE can start.
	URL       string
	Ramdisks  []string // URLs
	Arguments string   // the kernel's
}

// check refuses what would be more than one word, or other words, of iPXE's script.
func (s Start) check() error {
	for _, u := range append([]string{s.URL}, s.Ramdisks...) {
		parsed, err := url.Parse(u)
		switch {
		case err != nil:
			return fmt.Errorf("%q is no URL: %w", u, err)
		case parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" && parsed.Scheme != "tftp":
			return fmt.Errorf("%q is no URL of http, https or tftp, with a host in it", u)
		case strings.ContainsAny(u, " \t\"'\\"):
			return fmt.Errorf("%q has a space or a quote in it: write %%20 for the space", u)
		}
	}
	if strings.ContainsFunc(s.Arguments, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("the kernel's arguments %q are more than one line", s.Arguments)
	}
	for _, word := range strings.Fields(s.Arguments) {
		if word == "||" || word == "&&" {
			return fmt.Errorf("iPXE would take %q of the kernel's arguments for its own", word)
		}
	}
	if s.Arguments != "" && len(s.Ramdisks) == 0 && !strings.HasSuffix(s.URL, "/") {
		return fmt.Errorf("%s is a script or a program, which takes no arguments of a kernel: name a folder, ending in /, or the ramdisk too", s.URL)
	}
	return nil
}

// kernel is the part of the script that starts a kernel.
func (s Start) kernel(kernel string, ramdisks []string) string {
	words := strings.TrimSpace("kernel " + kernel + " " + s.Arguments)
	for _, r := range ramdisks {
		words += " && initrd " + r
	}
	return "imgfree\n" + words + " && boot ||\n"
}

// Script is iPXE's script (https://ipxe.org/scripting): it asks for an address, tries, and tries
// again, for a server may be on its network before what it asks is.
func (s Start) Script() (string, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	b := "#!ipxe\n:again\necho Hearth: starting " + s.URL + "\ndhcp || goto later\n"
	switch {
	case len(s.Ramdisks) > 0:
		b += s.kernel(s.URL, s.Ramdisks)
	case strings.HasSuffix(s.URL, "/"):
		for _, names := range installer.Layouts() {
			b += s.kernel(s.URL+names[0], []string{s.URL + names[1]})
		}
	default:
		b += "chain --autofree " + s.URL + " && exit ||\n"
	}
	return b + ":later\necho Hearth: it did not start; again in 5 seconds\nsleep 5\ngoto again\n", nil
}

// isolinux is what the boot loader of the CD-ROM reads. iPXE takes a ramdisk that begins with
// "#!ipxe" for its script.
const isolinux = "SERIAL 0 115200\nDEFAULT ipxe\nPROMPT 0\nLABEL ipxe\n  KERNEL ipxe.krn\n  INITRD boot.ipx\n"

// maxPart bounds a file of iPXE's CD-ROM, bytes.
const maxPart = 16 << 20

// CD makes the CD-ROM at dst, which must not exist, of iPXE's own and a script.
func CD(dst, ipxe, script string) error {
	parts, err := read(ipxe)
	if err != nil {
		return err
	}
	parts["isolinux.cfg"], parts["boot.ipx"] = []byte(isolinux), []byte(script)
	boot := &iso9660.ElToritoEntry{Platform: iso9660.BIOS, Emulation: iso9660.NoEmulation, BootFile: "isolinux.bin", BootTable: true}
	return disk.WriteISO(dst, iso9660.FinalizeOptions{RockRidge: true, VolumeIdentifier: "NETBOOT", ElTorito: &iso9660.ElTorito{BootCatalog: "boot.cat", Entries: []*iso9660.ElToritoEntry{boot}}}, parts)
}

// read takes from iPXE's CD-ROM what starts it by a BIOS.
func read(ipxe string) (map[string][]byte, error) {
	f, err := os.Open(ipxe)
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("iPXE's CD-ROM is not at %s: install Debian's package ipxe, or say where it is", ipxe)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	iso, err := iso9660.Read(file.New(f, true), st.Size(), 0, 2048)
	if err != nil {
		return nil, fmt.Errorf("%s is no ISO 9660 image: %w", ipxe, err)
	}
	parts := map[string][]byte{}
	for _, name := range []string{"isolinux.bin", "ldlinux.c32", "ipxe.krn"} {
		in, err := iso.OpenFile("/"+name, os.O_RDONLY)
		if err != nil {
			return nil, fmt.Errorf("%s is not iPXE's CD-ROM: it has no %s: %w", ipxe, name, err)
		}
		data, err := io.ReadAll(io.LimitReader(in, maxPart))
		if err = errors.Join(err, in.Close()); err != nil {
			return nil, fmt.Errorf("cannot read %s of %s: %w", name, ipxe, err)
		}
		parts[name] = data
	}
	return parts, nil
}
