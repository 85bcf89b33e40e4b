package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/ova"
)

// newImage is 'hearth image'.
func newImage(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Look into images, change and convert them, bring them into the cloud"}
	cmd.AddCommand(newImportAMI(cfg), newUpload(cfg), newSysprep(), newInject(), newInspect(), newConvert(), newShrink(), newGrow(), newBootTest(cfg), newMount(), newUmount(), newManifest(), newImageFromServer(cfg), newImageLint(), newImportDir(cfg), newDownload(cfg), newImageImport(cfg), newCatalog(cfg))
	return cmd
}

// newUpload is 'hearth image upload'.
func newUpload(cfg *config.Config) *cobra.Command {
	var name, format string
	var properties []string
	cmd := &cobra.Command{
		Use: "upload FILE", Short: "Upload an image; an upload that broke off goes on where it was", Args: cobra.ExactArgs(1),
		Long: "Upload an image, with its progress. When it breaks off, or is interrupted, the same command\n" +
			"goes on where it was. What arrived is compared with the file at the end. The cloud is that of\n" +
			"the OS_… variables, or the one of this machine.",
		RunE: func(cmd *cobra.Command, args []string) error {
			up, err := newUploader(cmd, cfg)
			if err != nil {
				return err
			}
			said, err := keyValues(properties)
			if err != nil {
				return err
			}
			if name == "" {
				name = strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
			}
			if format == "" {
				if format, err = formatOf(args[0]); err != nil {
					return err
				}
			}
			id, err := up.put(name, format, args[0], said)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Added new image with ID: %s\n", id)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the image; empty: the file's")
	cmd.Flags().StringVar(&format, "disk-format", "", "raw, qcow2, vmdk, iso, ami …; empty: what the file is")
	cmd.Flags().StringArrayVar(&properties, "property", nil, "KEY=VALUE, any number of times")
	return cmd
}

// formatOf is the disk format of a file, by its bytes; of the package of a virtual machine that of its
// first disk. What is wrong with it is for the cloud to say.
func formatOf(path string) (string, error) {
	f, size, err := openUpload(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	in := io.ReaderAt(f)
	if ova.Is(f) {
		p, err := ova.Open(f, size)
		if err == nil {
			in, size, err = p.Disk(1)
		}
		if err != nil {
			return "", err
		}
	}
	info, err := disk.Detect(in, size)
	if info.Format != "" {
		err = nil
	}
	return string(info.Format), err
}

// openUpload opens a file or block device, and tells how many bytes it has. A pipe, which would be
// waited for without end, is refused.
func openUpload(path string) (f *os.File, size int64, err error) {
	if f, err = disk.Open(path); err != nil {
		return nil, 0, err
	}
	if size, err = f.Seek(0, io.SeekEnd); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// ami is what 'hearth image import-ami' is told.
type ami struct{ name, kernel, initrd, root, archive string }

// newImportAMI is 'hearth image import-ami': the three uploads of an AMI in one.
func newImportAMI(cfg *config.Config) *cobra.Command {
	var a ami
	cmd := &cobra.Command{
		Use:   "import-ami --name NAME (--kernel FILE [--initrd FILE] --root FILE | --archive FILE)",
		Short: "Upload kernel, ramdisk and root file system as one image that boots", Args: cobra.NoArgs,
		Long: "Upload kernel, ramdisk and root file system as one image that boots: from three files, or from\n" +
			"one archive as cloud images came in (tar, or tar.gz, .bz2, .xz, .zst; - for standard input), in\n" +
			"which they are found by what they are. Nothing is unpacked to disk.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			up, err := newUploader(cmd, cfg)
			if err != nil {
				return err
			}
			var id string
			switch {
			case a.archive != "" && a.kernel+a.initrd+a.root != "":
				return errors.New("give either --archive, or --kernel and --root")
			case a.archive != "":
				id, err = up.importArchive(a.name, a.archive, cmd.InOrStdin())
			case a.kernel == "" || a.root == "":
				return errors.New("give --kernel and --root, or --archive")
			default:
				id, err = up.importFiles(a)
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), id)
			return nil
		},
	}
	cmd.Flags().StringVar(&a.name, "name", "", "name of the image")
	cmd.Flags().StringVar(&a.kernel, "kernel", "", "file of the kernel")
	cmd.Flags().StringVar(&a.initrd, "initrd", "", "file of the initial ramdisk")
	cmd.Flags().StringVar(&a.root, "root", "", "file of the root file system")
	cmd.Flags().StringVar(&a.archive, "archive", "", "tar file with all of them, packed or not")
	_ = cmd.MarkFlagRequired("name")
	return cmd
}

// imageClient is for the images of this machine's cloud.
func imageClient(ctx context.Context, cfg *config.Config) (*gophercloud.ServiceClient, error) {
	provider, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: cfg.Region})
}

func newUploader(cmd *cobra.Command, cfg *config.Config) (uploader, error) {
	provider, err := dialAny(cmd.Context(), cfg)
	if err != nil {
		return uploader{}, err
	}
	glance, err := openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: regionOf(cfg)})
	return uploader{ctx: cmd.Context(), glance: glance, progress: cmd.ErrOrStderr()}, err
}

// own is the id of the project that is uploaded into; "" if the login does not say.
func (u uploader) own() string {
	project, _ := projectOf(u.glance)
	return project
}

// importFiles uploads the files of an AMI.
func (u uploader) importFiles(a ami) (id string, err error) {
	properties := map[string]string{}
	if properties["kernel_id"], err = u.put(a.name+"-kernel", "aki", a.kernel, nil); err != nil {
		return "", err
	}
	if a.initrd != "" {
		if properties["ramdisk_id"], err = u.put(a.name+"-ramdisk", "ari", a.initrd, nil); err != nil {
			return "", err
		}
	}
	return u.put(a.name, "ami", a.root, properties)
}

// create registers an image.
func (u uploader) create(name, format string, properties map[string]string) (string, error) {
	container := "bare"
	if format == "ami" || format == "aki" || format == "ari" {
		container = format
	}
	return u.createIn(container, name, format, properties)
}

// createIn registers an image of a container format.
func (u uploader) createIn(container, name, format string, properties map[string]string) (string, error) {
	image, err := images.Create(u.ctx, u.glance, images.CreateOpts{Name: name, DiskFormat: format, ContainerFormat: container, Properties: properties}).Extract()
	if err != nil {
		return "", refusal(err)
	}
	return image.ID, nil
}
