package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/openstack/glance"
)

// newVolumeImport is 'hearth volume import': a disk of elsewhere becomes a volume that
// a server boots from.
func newVolumeImport(cfg *config.Config) *cobra.Command {
	var name, kind string
	var size int
	cmd := &cobra.Command{
		Use: "import FILE-OR-URL", Short: "Make a bootable volume of a disk image: raw, qcow2, vmdk, vdi, vhd, vhdx", Args: cobra.ExactArgs(1),
		Long: "The format is told from the bytes. Images of other hypervisors are converted here, in a sandbox; one that names other files\n" +
			"(a backing file, an extent) is refused. The image that the bytes travel as is removed when the volume is there.",
		RunE: func(cmd *cobra.Command, args []string) error {
			i := importer{ctx: cmd.Context(), cfg: cfg, progress: cmd.ErrOrStderr(), kind: kind, size: size}
			i.name = name
			if i.name == "" {
				base := filepath.Base(args[0])
				i.name = strings.TrimSuffix(base, filepath.Ext(base))
			}
			id, err := i.run(args[0])
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the volume; empty: the file's")
	cmd.Flags().StringVar(&kind, "type", "", "volume type; empty for the default")
	cmd.Flags().IntVar(&size, "size", 0, "size in GiB; 0: what the disk needs")
	return cmd
}

type importer struct {
	ctx        context.Context
	cfg        *config.Config
	progress   io.Writer
	name, kind string
	size       int // GiB
}

// run makes the volume and gives its id.
func (i importer) run(source string) (string, error) {
	tmp, err := os.MkdirTemp("", "hearth-import-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	path, err := i.local(source, tmp)
	if err != nil {
		return "", err
	}
	ready, err := i.prepare(path, tmp)
	if err != nil {
		return "", err
	}
	if need := int((ready.size + cloud.GiB - 1) / cloud.GiB); i.size == 0 {
		i.size = max(1, need)
	} else if i.size < need {
		return "", fmt.Errorf("the disk in %s has %d bytes: --size must be %d at least", source, ready.size, need)
	}
	return i.make(ready)
}

// local is the absolute path of the source, since tools run elsewhere than here; a
// URL is fetched to tmp first.
func (i importer) local(source, tmp string) (string, error) {
	if !strings.HasPrefix(source, "http://") && !strings.HasPrefix(source, "https://") {
		return filepath.Abs(source)
	}
	path := filepath.Join(tmp, "source")
	return path, i.download(source, path)
}

// download fetches a URL to a file.
func (i importer) download(url, path string) error {
	body, length, err := openWeb(i.ctx, url, glance.StallTime)
	if err != nil {
		return fmt.Errorf("the image cannot be downloaded: %w", err)
	}
	defer body.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	m := &meter{Reader: body, w: i.progress, name: "download", total: length, began: time.Now()}
	n, err := io.Copy(f, m)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%s broke off after %d bytes", url, n)
	}
	if err == nil {
		m.end()
		err = f.Close()
	}
	return err
}

// prepared is a file that the cloud takes.
type prepared struct {
	path, format string
	size         int64 // of the disk in it
}

// prepare tells what a file is, and converts what the cloud's nodes do not read.
func (i importer) prepare(path, tmp string) (p prepared, err error) {
	info, err := detected(path)
	if err != nil {
		return p, err
	}
	p = prepared{path: path, format: string(info.Format), size: info.VirtualSize}
	switch info.Format {
	case disk.QCOW2:
		return p, nil
	case disk.Raw, disk.ISO:
		if info.Content == disk.Packed {
			return p, fmt.Errorf("%s is packed (%s): unpack it first", path, info.Packing)
		}
		fi, err := os.Stat(path)
		if err != nil {
			return p, err
		}
		p.format, p.size = "raw", fi.Size()
		return p, nil
	}
	p.path, p.format = filepath.Join(tmp, "converted.qcow2"), "qcow2"
	told := time.Now()
	err = (&disk.Runner{}).Convert(i.ctx, disk.Layer{Path: path, Format: info.Format}, disk.Target{Path: p.path, Format: disk.QCOW2}, func(done float64) {
		if now := time.Now(); now.Sub(told) > time.Second {
			told = now
			fmt.Fprintf(i.progress, "  convert: %.0f %%\n", 100*done)
		}
	})
	return p, err
}

// detected reads what a file is, strictly.
func detected(path string) (disk.Info, error) {
	f, err := disk.Open(path)
	if err != nil {
		return disk.Info{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return disk.Info{}, err
	}
	if !fi.Mode().IsRegular() {
		return disk.Info{}, fmt.Errorf("%s is no file", path)
	}
	info, err := disk.Detect(f, fi.Size())
	if err == nil && info.QCOW2 != nil {
		err = disk.CheckClaim("qcow2", info)
	}
	return info, err
}

// make uploads the file as an image, makes the volume of it, and removes the image.
func (i importer) make(p prepared) (string, error) {
	glance, err := imageClient(i.ctx, i.cfg)
	if err != nil {
		return "", err
	}
	cinder, err := volumeClient(i.ctx, i.cfg)
	if err != nil {
		return "", err
	}
	image, err := uploader{ctx: i.ctx, glance: glance, progress: i.progress}.put(i.name, p.format, p.path, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = images.Delete(context.WithoutCancel(i.ctx), glance, image) }()
	v, err := volumes.Create(i.ctx, cinder, volumes.CreateOpts{Name: i.name, Size: i.size, VolumeType: i.kind, ImageID: image}, nil).Extract()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(i.progress, "  volume %s of %d GiB is being made\n", v.ID, i.size)
	return v.ID, awaitVolume(i.ctx, cinder, v.ID)
}
