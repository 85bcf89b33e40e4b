package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk/imagedir"
)

// newImportDir is 'hearth image import-dir'.
func newImportDir(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "import-dir DIR", Short: "Upload the images of a folder, by the names that Ganeti's image directory has", Args: cobra.ExactArgs(1),
		Long: "Upload the disks of a folder that is named as ganeti-instance-image has them, NAME-ARCH.img,\n" +
			".raw or .qcow2 (also .vmdk, .vdi, .vhd and .vhdx): the image is called NAME, and its property\n" +
			"architecture is ARCH. Tarballs (NAME-ARCH.tar.gz) and dumps (NAME-ARCH-root.dump, -boot.dump)\n" +
			"are listed but not uploaded: a cloud does not boot from them as they are.",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, others, err := imagedir.Read(args[0])
			if err != nil {
				return err
			}
			for _, o := range others {
				fmt.Fprintf(cmd.ErrOrStderr(), "  %s is left out: %s\n", printable(o.Path), printable(o.Why))
			}
			up, err := newUploader(cmd, cfg)
			if err != nil {
				return err
			}
			for _, img := range list {
				if img.Kind != imagedir.Disk {
					fmt.Fprintf(cmd.ErrOrStderr(), "  %s is left out: a cloud does not boot from a %s; make a disk of it first\n", printable(img.Path), img.Kind)
					continue
				}
				id, err := up.put(img.Name, string(img.Format), img.Path, map[string]string{"architecture": img.Arch})
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s  %s\n", id, img.Name, img.Arch, img.Format)
			}
			return nil
		},
	}
}
