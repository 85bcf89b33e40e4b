package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// newManifest is 'hearth image manifest'.
func newManifest() *cobra.Command {
	var other string
	limit := inGiB(64 << 30)
	cmd := &cobra.Command{
		Use: "manifest FILE [--diff OTHER]", Short: "List the file tree in an image, archive or dump", Args: cobra.ExactArgs(1),
		Long: "List the file tree in a disk image or an OVA (ext2, ext3, ext4, XFS, btrfs, f2fs, in LVM too), a\n" +
			"tar archive (plain, gz, bz2, xz or zst), a dump (NAME-root.dump with NAME-boot.dump beside it) or\n" +
			"Ganeti's export, in the form of mtree(5): types,\n" +
			"modes, numeric owners, sizes, SHA-256 sums, link targets, hard links, devices, extended attributes\n" +
			"with access control lists and capabilities, times. With --diff it says in what two trees differ,\n" +
			"and fails if they do: times as exactly as the coarser of the two has them, sockets left out.",
		RunE: func(cmd *cobra.Command, args []string) error {
			run := imageRunner(0)
			m, err := convert.ReadManifest(cmd.Context(), run, args[0], tree.Limits{Bytes: limit.bytes})
			if err != nil {
				return err
			}
			if other == "" {
				return m.Write(cmd.OutOrStdout())
			}
			with, err := convert.ReadManifest(cmd.Context(), run, other, tree.Limits{Bytes: limit.bytes})
			if err != nil {
				return err
			}
			list := tree.Diff(m, with)
			for _, line := range list {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			if n := len(list); n > 0 {
				return fmt.Errorf("the trees differ: %s", numbered(n, "difference"))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "equal: %d files\n", len(m.Items))
			return nil
		},
	}
	cmd.Flags().StringVar(&other, "diff", "", "another image, archive or dump to hold it against")
	cmd.Flags().Var(&limit, "limit", "refuse more than so many GiB of files")
	return cmd
}

// byTree tells whether a conversion goes by way of the file tree.
func byTree(source, to string) (bool, error) {
	if slices.Contains(convert.TreeTargets(), to) {
		return true, nil
	}
	if _, err := os.Stat(source); err != nil {
		return false, nil // whatever it is, it is no file
	}
	return convert.IsTree(source)
}

// bare tells whether it is a file system by itself that boots only as a partition.
func bare(run *disk.Runner, source string) (bool, error) {
	if st, err := os.Stat(source); err != nil || !st.Mode().IsRegular() {
		return false, nil
	}
	return convert.IsBare(context.Background(), run, source)
}

// convertTree is 'hearth image convert' where the source or the target is no disk.
func convertTree(cmd *cobra.Command, opt convert.TreeOptions, asJSON bool) error {
	if opt.Target == "-" {
		return streamTree(cmd, opt, asJSON)
	}
	if opt.Target == "" {
		opt.Target = convert.DefaultTarget(opt.Source, opt.To)
	}
	made, err := makeTree(cmd, opt)
	if err != nil {
		return err
	}
	return printTree(cmd.OutOrStdout(), made, asJSON)
}

// streamTree is convertTree to standard output, by way of the folder for temporary files:
// what is made is known to be whole at its end only.
func streamTree(cmd *cobra.Command, opt convert.TreeOptions, asJSON bool) error {
	if err := noTerminal(cmd.OutOrStdout()); err != nil {
		return err
	}
	dir, remove, err := workdir.Temp("", "hearth-convert-")
	if err != nil {
		return err
	}
	defer remove()
	opt.Target = filepath.Join(dir, "image")
	made, err := makeTree(cmd, opt)
	if err != nil {
		return err
	}
	f, err := os.Open(opt.Target)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(cmd.OutOrStdout(), f); err != nil {
		return err
	}
	made.Files = []string{"standard output"}
	return printTree(cmd.ErrOrStderr(), made, asJSON)
}

func makeTree(cmd *cobra.Command, opt convert.TreeOptions) (*convert.TreeResult, error) {
	opt.Progress = showProgress(cmd.ErrOrStderr(), filepath.Base(opt.Source))
	return convert.Tree(cmd.Context(), imageRunner(24*time.Hour), opt)
}

func printTree(w io.Writer, made *convert.TreeResult, asJSON bool) error {
	if asJSON {
		return printJSON(w, made)
	}
	if made.AMI != nil {
		printAMI(w, made.AMI)
		return nil
	}
	for _, f := range made.Files {
		fmt.Fprintf(w, "%s  %s, from %s\n", f, made.To, made.From)
	}
	for _, n := range made.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	return nil
}
