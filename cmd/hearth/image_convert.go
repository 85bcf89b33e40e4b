package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/tree"
)

// newConvert is 'hearth image convert'.
func newConvert() *cobra.Command {
	c := conversion{size: inGiB(0), limit: inGiB(64 << 30)}
	cmd := &cobra.Command{
		Use: "convert FILE|URL|DEVICE|- --to " + strings.Join(conversions, "|"), Short: "Make of an image one of another form", Args: cobra.ExactArgs(1),
		Long: "Make of an image one of another form, as any user; the image itself is only read, and its\n" +
			"format is what its bytes say. What is made gets its name when it is whole.\n\n" +
			"The image is a file, a block device, an http or https address, or - for standard input. A raw\n" +
			"disk is worked on as it comes; a stream of anything else is put into a file first, in the\n" +
			"folder for temporary files (TMPDIR). '-o -' writes what is one file, but a disk of another\n" +
			"hypervisor, to standard output. With\n" +
			"'--device' the disk is written over the block device that -o names.\n\n" +
			"'--compress zlib' packs a qcow2 for every reader, 'zstd' for QEMU 5.1 and later, faster.\n\n" +
			"'--to ami' takes a disk with an ext root file system apart into OUT.vmlinuz and OUT.initrd,\n" +
			"which its boot loader starts by default, and OUT.ext4, its root as small as it gets: what\n" +
			"'hearth image import-ami' uploads. '--to ova' makes a virtual machine that other hypervisors\n" +
			"import, with a manifest; of an OVA the disk is taken, and what it says of the machine is shown as\n" +
			"properties for the image. A vmdk is made streamOptimized, a vhd dynamic. '--to box' makes\n" +
			"a box of Vagrant, for libvirt or by --provider virtualbox; of such a box the disk is taken likewise.\n\n" +
			"By way of the file tree: a disk becomes an archive (tar, tar.gz, tar.zst) of all that its\n" +
			"/etc/fstab mounts of it, a pair of dumps (OUT-boot.dump, OUT-root.dump, as dump -0 -z writes\n" +
			"them) or Ganeti's export (a tar of these, or of\n" +
			"the disk as it is: ganeti-disk), or a file system by itself (fs). An archive, a pair\n" +
			"(NAME-root.dump) or an export becomes each of these too, or a disk of one partition (--fs) that\n" +
			"boots from GRUB, or by --loader extlinux (BIOS) or systemd-boot (UEFI), or an OVA of it, or an AMI.\n" +
			"So does NAME.ext4 of an AMI with NAME.vmlinuz and NAME.initrd beside it, and an ext file system by\n" +
			"itself that has a kernel in /boot.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c.run, c.source = imageRunner(24*time.Hour), args[0]
			if err := c.aim(); err != nil {
				return err
			}
			if err := c.misplaced(cmd); err != nil {
				return err
			}
			return c.make(cmd)
		},
	}
	cmd.Flags().StringVar(&c.to, "to", "", "what is made (default: what the ending of --out says, else qcow2)")
	cmd.Flags().StringVarP(&c.out, "out", "o", "", "the file to be made, or for an AMI the beginning of the files' names; it must not exist (default: the image's name with the ending of the format); - for standard output")
	cmd.Flags().StringVar(&c.compress, "compress", "", "zstd or zlib: compress a qcow2; zlib or none: a dump")
	cmd.Flags().Var(&c.size, "size", "size of a disk that is made of files: 10G, 512M; a bare number is GiB (default: what they need and a third)")
	cmd.Flags().StringVar(&c.loader, "loader", "", "boot loader of a disk that is made of files: grub, extlinux (BIOS) or systemd-boot (UEFI) (default: grub)")
	cmd.Flags().StringVar(&c.fs, "fs", "", "the root of a disk that is made of files: ext4, xfs, btrfs or f2fs (default: ext4)")
	cmd.Flags().Var(&c.limit, "limit", "of a source that holds files: refuse more than so many GiB of them")
	cmd.Flags().BoolVar(&c.device, "device", false, "write over the block device that --out names")
	cmd.Flags().BoolVar(&c.shrink, "shrink", false, "make the disk as small as what is on it, as 'hearth image shrink' does; an AMI's root always is")
	c.machineFlags(cmd)
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "report as JSON")
	return cmd
}

// conversions are what can be made.
var conversions = append([]string{"qcow2", "raw", "vmdk", "vdi", "vhd", "vhdx", "ova", "box", "ami"}, convert.TreeTargets()...)

// aim settles what is made, by the name of the file if --to does not say it.
func (c *conversion) aim() error {
	if c.to == "" {
		c.to = "qcow2"
		for _, to := range conversions {
			if strings.HasSuffix(c.out, "."+to) {
				c.to = to
			}
		}
	}
	switch {
	case !slices.Contains(conversions, c.to):
		return fmt.Errorf("images are not made as %s: --to can be %s", c.to, strings.Join(conversions, ", "))
	case c.compress != "" && slices.Contains([]string{"ami", "ova", "box"}, c.to):
		return fmt.Errorf("--compress %s packs a qcow2 or a dump: leave it out for %s", c.compress, c.to)
	}
	return nil
}

// conversion is what 'hearth image convert' is told.
type conversion struct {
	run                       *disk.Runner
	source, to, out, compress string
	input                     *convert.Stream // in place of the source, if that is no file
	length                    int64           // of input, bytes; 0 or less if it is not known
	loader                    string          // of a disk that is made of files
	fs                        string          // of the root of a disk that is made of files
	device, shrink, asJSON    bool
	size, limit               sizeFlag // of what goes by way of the file tree
	machine                   machine
	provider                  string // of Vagrant, for whom a box is
	number                    int    // of the disk in an OVA
}

// make does the conversion.
func (c *conversion) make(cmd *cobra.Command) error {
	if err := c.aim(); err != nil {
		return err
	}
	if c.source == "-" || fromWeb(c.source) {
		if err := c.ready(); err != nil {
			return err
		}
		done, err := c.connect(cmd)
		if err != nil {
			return err
		}
		defer done()
	}
	return c.write(cmd)
}

// write makes the image of the source, or of the stream that is open.
func (c *conversion) write(cmd *cobra.Command) error {
	if files, err := c.byTree(); err != nil || files {
		if err != nil {
			return err
		}
		opt := c.tree()
		if c.to == "ova" {
			if opt.Target == "" {
				opt.Target = convert.DefaultTarget(opt.Source, opt.To)
			}
			if opt.Machine, err = c.machine.named(opt.Target); err != nil {
				return err
			}
		}
		return convertTree(cmd, opt, c.asJSON)
	}
	if err := c.settle(); err != nil {
		return err
	}
	switch c.to {
	case "ami":
		return c.ami(cmd)
	case "ova", "box":
		return c.ova(cmd)
	}
	if c.shrink {
		return c.shrunk(cmd)
	}
	return c.disk(cmd)
}

// byTree tells whether the conversion goes by way of the file tree, which reads files
// only. An OVA is an archive, but not of a tree.
func (c conversion) byTree() (bool, error) {
	if !slices.Contains(convert.TreeTargets(), c.to) {
		if c.input != nil {
			return false, nil
		}
		if packed, err := ova.IsFile(c.source); err != nil || packed {
			return packed && c.to == "ami", err
		}
	}
	if c.input == nil {
		box, err := ova.IsBox(c.source)
		if box && slices.Contains(convert.TreeTargets(), c.to) && c.to != "ova" {
			err = fmt.Errorf("%s is a box of Vagrant; make a qcow2 of it first", c.source)
		}
		if box || err != nil {
			return false, err
		}
	}
	files, err := byTree(c.source, c.to)
	if err == nil && !files && c.to != "ami" && !c.shrink && !c.device && c.out != "-" {
		files, err = bare(c.run, c.source)
	}
	if err == nil && files && c.to == "box" {
		err = fmt.Errorf("%s is converted by way of its files: a box needs a disk to begin with; make a qcow2 of it first", c.source)
	}
	if err == nil && files && (c.device || c.out == "-" && !oneFile(c.to)) {
		err = fmt.Errorf("%s is converted by way of its files: --to %s needs a file for -o", c.source, c.to)
	}
	if err == nil && !files && c.loader != "" {
		err = errors.New("--loader is for a disk that is made of files: one that is converted keeps its own; make an archive of it first (--to tar)")
	}
	if err == nil && !files && c.fs != "" {
		err = errors.New("--fs says what a disk that is made of an archive's files has; this one's files stay where they are (make a tar of it first)")
	}
	if err == nil && !files && c.size.bytes != 0 {
		err = errors.New("--size is of a disk that is made of files: leave it out; 'hearth image grow' makes this one larger")
	}
	if archive := c.to == "dump" || strings.HasPrefix(c.to, "tar") || strings.HasPrefix(c.to, "ganeti"); err == nil && archive && c.size.bytes != 0 {
		err = fmt.Errorf("--size is of a disk that is made of files: leave it out for %s", c.to)
	}
	if err == nil && files && c.shrink {
		err = errors.New("a disk that is made of files has the size that they need, or --size: leave --shrink out")
	}
	return files, err
}

// oneFile tells whether what is made by way of the file tree can be written from its
// beginning on: not a disk for a hypervisor, nor what is several files.
func oneFile(to string) bool {
	return to == "raw" || to == "qcow2" || to != "dump" && slices.Contains(convert.TreeTargets(), to)
}

// tree is what the file tree's conversion is told.
func (c conversion) tree() convert.TreeOptions {
	return convert.TreeOptions{Source: c.source, Disk: c.number, Target: c.out, To: c.to, Compress: c.compress, Loader: c.loader, FS: c.fs, Size: c.size.bytes, Limits: tree.Limits{Bytes: c.limit.bytes}}
}

// ami takes a disk apart.
func (c conversion) ami(cmd *cobra.Command) error {
	w := cmd.ErrOrStderr()
	made, err := convert.AMI(cmd.Context(), c.run, c.source, c.out, convert.Telling{Step: sayTo(w), Progress: stepProgress(w)})
	if err != nil {
		return err
	}
	if c.asJSON {
		return printJSON(cmd.OutOrStdout(), made)
	}
	printAMI(cmd.OutOrStdout(), made)
	return nil
}

// shrunk makes a disk that is as small as what is on it.
func (c conversion) shrunk(cmd *cobra.Command) error {
	if c.out == "-" || c.device {
		return errors.New("--shrink needs a file to write, not a stream or a device")
	}
	return shrinkTo(cmd, c.source, c.out, c.to, c.compress, c.asJSON)
}

// disk makes a disk of another format.
func (c conversion) disk(cmd *cobra.Command) error {
	opt, err := c.options(cmd)
	if err != nil {
		return err
	}
	made, err := convert.Disk(cmd.Context(), c.run, opt)
	if err != nil {
		return err
	}
	report := cmd.OutOrStdout()
	if opt.Output != nil {
		report, made.File = cmd.ErrOrStderr(), "standard output"
	}
	if c.asJSON {
		return printJSON(report, made)
	}
	printMade(report, made)
	return nil
}

func printAMI(w io.Writer, r *convert.AMIResult) {
	fmt.Fprintf(w, "kernel    %s  (%s)\nramdisk   %s\nroot      %s  (%d bytes)\nboot with os_command_line=%q\n", r.Kernel, r.Version, r.Ramdisk, r.Root, r.RootSize, r.CommandLine)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}
