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
)

// newInject is 'hearth image inject'.
func newInject() *cobra.Command {
	var opt inject.Options
	var keys, files []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "inject FILE", Short: "Put ssh keys, a hostname and files into an image", Args: cobra.ExactArgs(1),
		Long: "Put ssh keys, a hostname and files into an image in place, without mounting it, as any user.\n" +
			"The hostname is written as the distribution has it: Debian, RedHat, SUSE, Gentoo, Arch, Alpine.\n" +
			"ext2, ext3 and ext4 are changed; other file systems are left alone. Nobody else may use the\n" +
			"image meanwhile.\n\n" +
			"  hearth image inject --ssh-key ~/.ssh/id_ed25519.pub --hostname web1 --file motd:/etc/motd disk.qcow2",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := injectOptions(&opt, keys, files); err != nil {
				return err
			}
			layer, _, err := guestfs.Image(args[0])
			if err != nil {
				return err
			}
			report, err := inject.Image(cmd.Context(), &disk.Runner{}, layer, opt)
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
			for _, text := range report.Warnings {
				fmt.Fprintf(cmd.OutOrStdout(), "warning: %s\n", text)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&keys, "ssh-key", nil, "file of a public key, or the key itself; may be repeated")
	cmd.Flags().StringVar(&opt.User, "user", "root", "whose keys these are; a user that the image has")
	cmd.Flags().StringVar(&opt.Hostname, "hostname", "", "name of the guest, short or in full")
	cmd.Flags().StringArrayVar(&files, "file", nil, "SRC:DST or SRC:DST:MODE, a file of this host and its name in the guest; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

// injectOptions reads the files that the options name.
func injectOptions(opt *inject.Options, keys, files []string) error {
	for _, k := range keys {
		if !strings.ContainsAny(strings.TrimSpace(k), " \t") {
			b, err := os.ReadFile(k)
			if err != nil {
				return err
			}
			k = string(b)
		}
		for line := range strings.Lines(k) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				opt.Keys = append(opt.Keys, line)
			}
		}
	}
	for _, f := range files {
		file, err := injectFile(f)
		if err != nil {
			return err
		}
		opt.Files = append(opt.Files, file)
	}
	if len(opt.Keys)+len(opt.Files) == 0 && opt.Hostname == "" {
		return errors.New("say what goes into the image: --ssh-key, --hostname or --file")
	}
	return nil
}

// injectFile reads SRC:DST[:MODE].
func injectFile(arg string) (inject.File, error) {
	part := strings.Split(arg, ":")
	if len(part) < 2 || len(part) > 3 || !strings.HasPrefix(part[1], "/") {
		return inject.File{}, fmt.Errorf("%q is not SRC:DST or SRC:DST:MODE, with an absolute DST", arg)
	}
	st, err := os.Stat(part[0])
	if err != nil {
		return inject.File{}, err
	}
	mode := uint64(st.Mode().Perm())
	if len(part) == 3 {
		if mode, err = strconv.ParseUint(part[2], 8, 12); err != nil {
			return inject.File{}, fmt.Errorf("%q is no mode, such as 0644", part[2])
		}
	}
	b, err := os.ReadFile(part[0])
	return inject.File{Path: part[1], Data: b, Owner: guestfs.Owner{Mode: uint32(mode)}}, err
}
