package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/workdir"
)

// promptly is how fast a system is expected to shut down when its power button is
// pressed.
const promptly = 30 * time.Second

// newImageFromServer is 'hearth image from-server': what was installed on a server's
// volume, or on its root disk, becomes an image with the bytes in it, or files here.
func newImageFromServer(cfg *config.Config) *cobra.Command {
	var name, to, out, compress string
	var live bool
	cmd := &cobra.Command{
		Use: "from-server NAME-OR-ID", Short: "Shut a server down and make an image of the disk that it boots from", Args: cobra.ExactArgs(1),
		Long: "Shuts a server down and makes an image of the disk that it boots from: of a volume too, of which nova's own images hold but a\n" +
			"snapshot. How fast the guest shuts down is looked at: one that does not mind its power button is told what it lacks. With --live it\n" +
			"runs on, and the image is what the disk would be after a power cut; a volume is not read while its guest runs.\n\n" +
			"With --to it is files here that are made, in any form that 'hearth image convert' knows (qcow2, vmdk, ova, tar.gz, dump, ami …),\n" +
			"and no image stays in the cloud. 'ganeti-image' is the same by its old name: see 'hearth old-names'.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case to == "" && (out != "" || compress != ""):
				return errors.New("--out and --compress are for files: say by --to what is made")
			case to != "" && name != "":
				return errors.New("--name is of an image in the cloud, and with --to none stays there: say by --out what the files are called")
			}
			at, err := reachCloud(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if to != "" {
				return at.filesOf(cmd, args[0], live, conversion{to: to, out: out, compress: compress})
			}
			id, err := at.imageOf(cmd.Context(), args[0], name, live, cmd.ErrOrStderr())
			if id != "" {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the image; empty: the server's")
	cmd.Flags().BoolVar(&live, "live", false, "do not shut the server down")
	cmd.Flags().StringVar(&to, "to", "", "make files of this form here, and no image in the cloud")
	cmd.Flags().StringVarP(&out, "out", "o", "", "with --to: the file to be made, or the beginning of the files' names (default: as 'hearth image convert' names it)")
	cmd.Flags().StringVar(&compress, "compress", "", "with --to: zstd or zlib for a qcow2, zlib or none for a dump")
	return cmd
}

// reach is the services of a cloud, be it the one of the OS_ variables or this machine's.
type reach struct{ nova, glance, cinder *gophercloud.ServiceClient }

func reachCloud(ctx context.Context, cfg *config.Config) (at reach, err error) {
	provider, err := dialAny(ctx, cfg)
	if err != nil {
		return at, err
	}
	endpoint := gophercloud.EndpointOpts{Region: regionOf(cfg)}
	var errs [3]error
	at.nova, errs[0] = openstack.NewComputeV2(provider, endpoint)
	at.glance, errs[1] = openstack.NewImageV2(provider, endpoint)
	at.cinder, errs[2] = openstack.NewBlockStorageV3(provider, endpoint)
	return at, errors.Join(errs[:]...)
}

// imageOf makes an image of what a server boots from.
func (at reach) imageOf(ctx context.Context, server, name string, live bool, say io.Writer) (string, error) {
	s, err := serverNamed(ctx, at.nova, server)
	if err != nil {
		return "", err
	}
	if name == "" {
		name = s.Name
	}
	if !live {
		if err := shutDown(ctx, at.nova, s, say); err != nil {
			return "", err
		}
	}
	volume, err := bootVolume(ctx, at.nova, s)
	if err != nil {
		return "", err
	}
	if volume != "" && live && s.Status != "SHUTOFF" {
		return "", fmt.Errorf("server %s runs from volume %s, which its guest holds: stop it first, or make a snapshot of the volume ('openstack volume snapshot create --force') and a volume of that", s.Name, volume)
	}
	var id string
	if volume == "" {
		id, err = servers.CreateImage(ctx, at.nova, s.ID, servers.CreateImageOpts{Name: name}).ExtractImageID()
	} else {
		var up volumes.VolumeImage
		up, err = volumes.UploadImage(ctx, at.cinder, volume, volumes.UploadImageOpts{ImageName: name, DiskFormat: "raw", ContainerFormat: "bare", Force: true}).Extract()
		id = up.ImageID
	}
	if err != nil {
		return "", refusal(err)
	}
	return id, awaitImage(ctx, at.glance, id)
}

// fetch gives a copy of the disk that a server boots from, by way of an image that
// the cloud keeps no longer.
func (at reach) fetch(ctx context.Context, server, path string, live bool, say io.Writer) (err error) {
	fmt.Fprintln(say, "  the cloud copies the disk")
	id, err := at.imageOf(ctx, server, "disk of "+server+", on its way", live, say)
	if id == "" {
		return err
	}
	defer func() {
		err = errors.Join(err, refusal(images.Delete(context.WithoutCancel(ctx), at.glance, id).ExtractErr()))
	}()
	if err != nil {
		return err
	}
	image, err := imageOf(ctx, at.glance, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(say, "  fetch %d bytes\n", image.SizeBytes)
	return uploader{ctx: ctx, glance: at.glance, progress: say}.download(id, path)
}

// filesOf makes files of what a server boots from. The copy lies beside them
// meanwhile, where there is room for such.
func (at reach) filesOf(cmd *cobra.Command, server string, live bool, c conversion) error {
	c.run, c.source, c.limit, c.provider = &disk.Runner{Timeout: 24 * time.Hour}, filepath.Base(server), inGiB(1<<50), ova.Libvirt
	if c.out == "" { // a server's name may have dots in it, which are no ending
		if c.out = c.source; c.to != "ami" && c.to != "dump" {
			c.out += "." + c.to
		}
	}
	if err := c.possible(); err != nil {
		return err
	}
	work, remove, err := workdir.Temp(filepath.Dir(c.out), ".hearth-from-server-")
	if err != nil {
		return err
	}
	defer remove()
	c.source = filepath.Join(work, "disk")
	if err := at.fetch(cmd.Context(), server, c.source, live, cmd.ErrOrStderr()); err != nil {
		return err
	}
	return c.make(cmd)
}

// possible refuses what could not be made in the end, before a server is shut down and its
// disk comes here.
func (c conversion) possible() error {
	if c.out == "-" {
		return errors.New("the files are made here: name one with --out")
	}
	if err := c.aim(); err != nil {
		return err
	}
	packs, made := []string{""}, []string{c.out}
	switch c.to {
	case "qcow2", "ganeti-disk":
		packs = []string{"", "zstd", "zlib"}
	case "dump":
		packs, made = []string{"", "zlib", "none"}, []string{c.out + "-root.dump", c.out + "-boot.dump"}
	case "ganeti":
		packs = []string{"", "zlib", "none"}
	case "ami":
		made = []string{c.out + ".vmlinuz", c.out + ".initrd", c.out + ".ext4"}
	}
	if !slices.Contains(packs, c.compress) {
		return fmt.Errorf("--compress %s: a qcow2 is packed by zstd or zlib, a dump by zlib or not at all (none), others as --to says", c.compress)
	}
	for _, name := range made {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("%s is there already; remove it, or choose another name", name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// shutDown presses the power button of a server that runs, and waits.
func shutDown(ctx context.Context, nova *gophercloud.ServiceClient, s *servers.Server, say io.Writer) error {
	switch s.Status {
	case "SHUTOFF":
		return nil
	case "ACTIVE":
	default:
		return fmt.Errorf("server %s is %s: it is to be ACTIVE or SHUTOFF", s.Name, s.Status)
	}
	start := time.Now()
	if err := servers.Stop(ctx, nova, s.ID).ExtractErr(); err != nil {
		return refusal(err)
	}
	if err := awaitServer(ctx, nova, s.ID, "SHUTOFF"); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Fprintf(say, "  shut down in %.0f s\n", took.Seconds())
	if took > promptly {
		fmt.Fprintln(say, "  warning: that is long: a system that does not mind its power button (ACPI) is cut off when its time is up. Install acpid, or systemd-logind, in it.")
	}
	return nil
}

// bootVolume is the volume that a server boots from; "" for one with a disk of its
// own.
func bootVolume(ctx context.Context, nova *gophercloud.ServiceClient, s *servers.Server) (string, error) {
	if id, _ := s.Image["id"].(string); id != "" {
		return "", nil
	}
	pages, err := volumeattach.List(nova, s.ID).AllPages(ctx)
	if err != nil {
		return "", err
	}
	list, err := volumeattach.ExtractVolumeAttachments(pages)
	for _, at := range list {
		if at.Device == "/dev/vda" {
			return at.VolumeID, err
		}
	}
	if err == nil {
		err = errors.New("the server has neither an image nor a volume /dev/vda that it boots from")
	}
	return "", err
}

// imageOf finds an image by its id.
func imageOf(ctx context.Context, glance *gophercloud.ServiceClient, id string) (*images.Image, error) {
	image, err := images.Get(ctx, glance, id).Extract()
	if err != nil {
		return nil, refusal(err)
	}
	return image, nil
}
