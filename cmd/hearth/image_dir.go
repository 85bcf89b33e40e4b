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
		Long: "Upload the images of a folder that is named as ganeti-instance-image has them: disks, NAME-ARCH.img,\n" +
			".raw or .qcow2 (also .vmdk, .vdi, .vhd and .vhdx), tarballs, NAME-ARCH.tar.gz (also .bz2, .xz and\n" +
			".zst), and dumps, NAME-ARCH-root.dump with NAME-ARCH-boot.dump, as one image. It is called NAME,\n" +
			"and its property architecture is ARCH. The cloud makes disks of tarballs and dumps.",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, others, err := imagedir.Read(args[0])
			if err != nil {
				return err
			}
			for _, o := range others {
				fmt.Fprintf(cmd.ErrOrStderr(), "  %s is left out: %s\n", printable(o.Path), printable(o.Why))
			}
			if len(list) == 0 {
				return fmt.Errorf("%s has no image by those names; 'hearth image upload' takes one of any name", args[0])
			}
			up, err := newUploader(cmd, cfg)
			if err != nil {
				return err
			}
			for _, img := range list {
				path, format, done, err := img.Upload()
				if err != nil {
					return err
				}
				id, err := up.put(img.Name, string(format), path, map[string]string{"architecture": img.Arch})
				done()
				if err != nil {
					return err
				}
				what := string(format)
				if img.Kind != imagedir.Disk {
					what = string(img.Kind)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s  %s\n", id, img.Name, img.Arch, what)
			}
			return nil
		},
	}
}
