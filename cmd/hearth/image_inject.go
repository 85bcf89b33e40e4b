package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/inject"
	"hearth/internal/disk/netconf"
)

// newInject is 'hearth image inject'.
func newInject() *cobra.Command {
	var opt inject.Options
	var keys, files []string
	var network string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "inject FILE", Short: "Put ssh keys, a hostname, a network and files into an image; make its identity new", Args: cobra.ExactArgs(1),
		Long: "Put ssh keys, a hostname, a network and files into an image in place, without mounting it, as any\n" +
			"user. The hostname is written as the distribution has it: Debian, RedHat, SUSE, Gentoo, Arch, Alpine;\n" +
			"the network as the guest keeps it: netplan, systemd-networkd, NetworkManager, ifupdown, ifcfg (RedHat's\n" +
			"and SUSE's), netifrc. ext2, ext3 and ext4 are changed, XFS, btrfs and f2fs by a small guest of Hearth's own;\n" +
			"other file systems are left alone. Nobody else may use the image meanwhile.\n\n" +
			"  hearth image inject --ssh-key ~/.ssh/id_ed25519.pub --hostname web1 --file motd:/etc/motd disk.qcow2",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := injectOptions(&opt, keys, files, network); err != nil {
				return err
			}
			layer, held, err := guestfs.HoldToChange(args[0])
			if err != nil {
				return err
			}
			defer held.Close()
			report, err := inject.Image(cmd.Context(), imageRunner(0), layer, opt)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			fmt.Fprintln(cmd.OutOrStdout(), report.System)
			for _, name := range report.Changed {
				fmt.Fprintf(cmd.OutOrStdout(), "  %s\n", name)
			}
			for _, key := range report.HostKeys {
				fmt.Fprintf(cmd.OutOrStdout(), "host key: %s\n", key)
			}
			for _, text := range report.Warnings {
				fmt.Fprintf(cmd.OutOrStdout(), "warning: %s\n", text)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&keys, "ssh-key", nil, "file of a public key, or the key itself; may be repeated")
	cmd.Flags().StringVar(&opt.User, "user", "root", "whose keys these are; a user that the image has")
	cmd.Flags().StringVar(&opt.Hostname, "hostname", "", "name of the guest, short or in full")
	cmd.Flags().StringArrayVar(&files, "file", nil, "SRC:DST[:MODE[:USER[:GROUP]]], a file of this host and its name in the guest; may be repeated")
	cmd.Flags().StringVar(&network, "network", "", "\"dhcp\", a file that describes the NICs (YAML, JSON or OpenStack's network_data.json), or a networks/ folder of ganeti-instance-image that knows the hostname")
	cmd.Flags().StringArrayVar(&opt.Fstab, "fstab", nil, "line of fstab, \"DEVICE FOLDER TYPE [OPTIONS [DUMP PASS]]\"; may be repeated")
	cmd.Flags().BoolVar(&opt.Identity, "new-identity", false, "make host keys of every type, machine-id, random seeds, DHCP identifiers and names for iSCSI and NVMe new, as a clone needs it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

// injectOptions reads the files that the options name.
func injectOptions(opt *inject.Options, keys, files []string, network string) error {
	for _, k := range keys {
		list, err := publicKeys(k)
		if err != nil {
			return err
		}
		opt.Keys = append(opt.Keys, list...)
	}
	for _, f := range files {
		file, err := injectFile(f)
		if err != nil {
			return err
		}
		opt.Files = append(opt.Files, file)
	}
	if opt.Hostname != "" && !isHostName(opt.Hostname) {
		return fmt.Errorf("--hostname %q is no name of a host: letters, digits, hyphens and dots, 253 in all", opt.Hostname)
	}
	var err error
	if opt.Network, err = injectNetwork(network, opt.Hostname); err != nil {
		return err
	}
	if len(opt.Keys)+len(opt.Files)+len(opt.Fstab) == 0 && opt.Hostname == "" && opt.Network == nil && !opt.Identity {
		return errors.New("say what goes into the image: --ssh-key, --hostname, --network, --fstab, --file or --new-identity")
	}
	return nil
}

// maxInjectText is how much of a file with keys or a network is read, in bytes.
const maxInjectText = 1 << 20

// publicKeys reads the keys in a file, or the key itself.
func publicKeys(arg string) (list []string, err error) {
	text := arg
	if _, err := os.Stat(arg); err == nil || !strings.ContainsAny(strings.TrimSpace(arg), " \t") {
		b, err := disk.ReadText(arg, maxInjectText)
		if err != nil {
			return nil, err
		}
		if text = strings.TrimPrefix(string(b), "\ufeff"); strings.Contains(text, "PRIVATE KEY-----") {
			return nil, fmt.Errorf("--ssh-key %s is a private key, which stays with its owner: give the public one, %s.pub", arg, arg)
		}
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("--ssh-key %q has no key in it", arg)
	}
	return list, nil
}

// injectNetwork reads what --network says: "dhcp", a file, or a networks/ folder of
// ganeti-instance-image, in which the hostname is looked up.
func injectNetwork(name, hostname string) (*netconf.Network, error) {
	switch st, err := os.Stat(name); {
	case name == "":
		return nil, nil
	case name == "dhcp":
		n := netconf.DHCP()
		return &n, nil
	case err != nil:
		return nil, err
	case st.IsDir():
		dir, err := netconf.ReadDir(os.DirFS(name))
		if err != nil {
			return nil, err
		}
		n, ok := dir.Network(hostname)
		if !ok {
			return nil, fmt.Errorf("%s/instances has no file %q: give the name of an instance with --hostname", name, hostname)
		}
		return &n, nil
	}
	b, err := disk.ReadText(name, maxInjectText)
	if err != nil {
		return nil, err
	}
	n, err := netconf.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("--network %s is no description of a network (%w); 'dhcp' needs none", name, err)
	}
	return &n, nil
}

// injectFile reads SRC:DST[:MODE[:USER[:GROUP]]].
func injectFile(arg string) (inject.File, error) {
	part := strings.SplitN(arg, ":", 4)
	if len(part) < 2 || !strings.HasPrefix(part[1], "/") {
		return inject.File{}, fmt.Errorf("%q is not SRC:DST[:MODE[:USER[:GROUP]]], with an absolute DST", arg)
	}
	st, err := os.Stat(part[0])
	if err != nil {
		return inject.File{}, err
	}
	mode := uint64(st.Mode().Perm())
	if len(part) > 2 && part[2] != "" {
		if mode, err = strconv.ParseUint(part[2], 8, 12); err != nil {
			return inject.File{}, fmt.Errorf("%q is no mode, such as 0644", part[2])
		}
	}
	who := ""
	if len(part) > 3 {
		who = part[3]
	}
	b, err := disk.ReadText(part[0], 1<<30)
	return inject.File{Path: part[1], Data: b, Who: who, Owner: guestfs.Owner{Mode: uint32(mode)}}, err
}
