package main

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
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
			"and its property architecture is ARCH. The cloud makes disks of tarballs and dumps. What is there\n" +
			"already, with the same bytes, is not uploaded again: the import can be repeated.",
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
				if err := importOne(up, img, cmd.OutOrStdout()); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// importOne uploads an image of a folder, if it is not there.
func importOne(up uploader, img imagedir.Image, out io.Writer) error {
	path, format, done, err := img.Upload()
	if err != nil {
		return err
	}
	defer done()
	what, note := string(format), " (it is there)"
	if img.Kind != imagedir.Disk {
		what = string(img.Kind)
	}
	id, err := up.there(img.Name, img.Arch, path)
	if err == nil && id == "" {
		note = ""
		id, err = up.put(img.Name, string(format), path, map[string]string{"architecture": img.Arch})
	}
	if err == nil {
		fmt.Fprintf(out, "%s  %s  %s  %s%s\n", id, img.Name, img.Arch, what, note)
	}
	return err
}

// there finds an image of the project of a name and an architecture with the bytes of a file; "" for none.
func (u uploader) there(name, arch, path string) (string, error) {
	pages, err := images.List(u.glance, images.ListOpts{Name: name, Owner: u.own(), Status: images.ImageStatusActive}).AllPages(u.ctx)
	if err != nil {
		return "", refusal(err)
	}
	list, err := images.ExtractImages(pages)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	own := "" // of the file, once it is asked for
	for _, i := range list {
		if i.Properties["architecture"] != arch || i.SizeBytes != st.Size() || i.Properties["os_hash_algo"] != "sha512" {
			continue
		}
		if own == "" {
			if own, err = sha512Of(u.ctx, path); err != nil {
				return "", err
			}
		}
		if i.Properties["os_hash_value"] == own {
			return i.ID, nil
		}
	}
	return "", nil
}

// sha512Of reads a file.
func sha512Of(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, part := sha512.New(), make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(part)
		sum.Write(part[:n])
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}
