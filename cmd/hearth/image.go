package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newImage is 'hearth image'.
func newImage(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Look into images, change and convert them, bring them into the cloud"}
	cmd.AddCommand(newImportAMI(cfg), newSysprep(), newInject(), newInspect(), newConvert())
	return cmd
}

// newImportAMI is 'hearth image import-ami': the three uploads of an AMI in one.
func newImportAMI(cfg *config.Config) *cobra.Command {
	var name, kernel, initrd, root string
	cmd := &cobra.Command{
		Use: "import-ami --name NAME --kernel FILE [--initrd FILE] --root FILE", Short: "Upload kernel, ramdisk and root file system as one image that boots", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			glance, err := imageClient(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			up := uploader{ctx: cmd.Context(), glance: glance, progress: cmd.ErrOrStderr()}
			properties := map[string]string{}
			if properties["kernel_id"], err = up.put(name+"-kernel", "aki", kernel, nil); err != nil {
				return err
			}
			if initrd != "" {
				if properties["ramdisk_id"], err = up.put(name+"-ramdisk", "ari", initrd, nil); err != nil {
					return err
				}
			}
			id, err := up.put(name, "ami", root, properties)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), id)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the image")
	cmd.Flags().StringVar(&kernel, "kernel", "", "file of the kernel")
	cmd.Flags().StringVar(&initrd, "initrd", "", "file of the initial ramdisk")
	cmd.Flags().StringVar(&root, "root", "", "file of the root file system")
	for _, f := range []string{"name", "kernel", "root"} {
		_ = cmd.MarkFlagRequired(f)
	}
	return cmd
}

func imageClient(ctx context.Context, cfg *config.Config) (*gophercloud.ServiceClient, error) {
	provider, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: cfg.Region})
}

// uploader puts files into glance.
type uploader struct {
	ctx      context.Context
	glance   *gophercloud.ServiceClient
	progress io.Writer
}

// put makes an image of a file. A failed upload takes its image away again.
func (u uploader) put(name, format, path string, properties map[string]string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	container := format
	if format == "qcow2" || format == "raw" {
		container = "bare"
	}
	image, err := images.Create(u.ctx, u.glance, images.CreateOpts{Name: name, DiskFormat: format, ContainerFormat: container, Properties: properties}).Extract()
	if err != nil {
		return "", err
	}
	meter := &meter{Reader: f, w: u.progress, name: name, total: info.Size(), began: time.Now()}
	if err := imagedata.Upload(u.ctx, u.glance, image.ID, meter).ExtractErr(); err != nil {
		_ = images.Delete(context.WithoutCancel(u.ctx), u.glance, image.ID)
		return "", fmt.Errorf("cannot upload %s: %w", path, err)
	}
	meter.end()
	return image.ID, nil
}

// meter shows how much of a file has gone, at what rate, and when it ends.
type meter struct {
	io.Reader
	w           io.Writer
	name        string
	done, total int64
	began, told time.Time
}

// Read counts what goes by.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.done += int64(n)
	if now := time.Now(); now.Sub(m.told) > time.Second && now.Sub(m.began) > time.Second {
		m.told = now
		perSecond := float64(m.done) / now.Sub(m.began).Seconds()
		left := time.Duration(float64(m.total-m.done) / perSecond * float64(time.Second))
		fmt.Fprintf(m.w, "  %s: %d %%, %.1f MiB/s, %s left\n", m.name, 100*m.done/max(1, m.total), perSecond/(1<<20), left.Round(time.Second))
	}
	return n, err
}

func (m *meter) end() {
	took := time.Since(m.began)
	fmt.Fprintf(m.w, "  %s: %.1f MiB in %s\n", m.name, float64(m.done)/(1<<20), took.Round(10*time.Millisecond))
}
