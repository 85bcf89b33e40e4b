package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/members"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk/guestfs"
	"hearth/internal/opennebula"
)

// newImport is 'hearth import'.
func newImport(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Make what files of other clouds describe"}
	cmd.AddCommand(newImportOpenNebula(cfg))
	return cmd
}

func newImportOpenNebula(cfg *config.Config) *cobra.Command {
	var network, imageDir string
	var dry bool
	cmd := &cobra.Command{
		Use: "opennebula FILE…", Short: "Make images, flavors, ports and servers of OpenNebula's templates", Args: cobra.MinimumNArgs(1),
		Long: "Reads templates as onedatastore, oneimage and onevm create take them (.dsconf, .one, .vmd), in any order,\n" +
			"and makes of an image an image, of a virtual machine a flavor, ports with its MACs and a server. A DISK's\n" +
			"IMAGE_ID counts the images of the files, from 0 on; its IMAGE may be one of the cloud. Of what the cloud\n" +
			"does otherwise a note tells. All is checked first: nothing is made if a file is not understood, an image\n" +
			"is missing, a server of the name is there, or a MAC is in use. It can be repeated when it broke off.\n\n" +
			"A NIC's NETWORK is the network of that name. Its BRIDGE is one of a host: --network says which network\n" +
			"that is, or there is one only.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var files []opennebula.File
			for _, name := range args {
				text, err := readSettings(name)
				if err != nil {
					return err
				}
				files = append(files, opennebula.File{Name: name, Text: text})
			}
			plan, err := opennebula.Read(files)
			if err != nil {
				return err
			}
			for _, n := range plan.Notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", printable(n))
			}
			if dry {
				return printJSON(cmd.OutOrStdout(), plan)
			}
			in, err := newNebula(cmd, cfg, plan)
			if err != nil {
				return err
			}
			in.network, in.dirs = network, []string{imageDir, filepath.Dir(args[0])}
			return in.run()
		},
	}
	cmd.Flags().StringVar(&network, "network", "", "name or id of the network for NICs on a BRIDGE (default: the only one)")
	cmd.Flags().StringVar(&imageDir, "image-dir", "", "where the files of images lie now (default: at their PATH, or beside the first template)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print what the files come to, and make nothing")
	return cmd
}

// nebula makes a plan in a cloud.
type nebula struct {
	uploader
	nova, neutron *gophercloud.ServiceClient
	project       string // that it is made in, by its id
	plan          *opennebula.Plan
	network       string
	dirs          []string // where files of images may lie, beside their own place
	out           io.Writer

	images   []nebulaImage
	networks []networks.Network
}

// nebulaImage is an image to be made, or one that is there.
type nebulaImage struct {
	id, path, format string
	size             int64 // of the disk, bytes
}

func newNebula(cmd *cobra.Command, cfg *config.Config, plan *opennebula.Plan) (*nebula, error) {
	up, err := newUploader(cmd, cfg)
	if err != nil {
		return nil, err
	}
	in := &nebula{uploader: up, plan: plan, out: cmd.OutOrStdout()}
	if in.project, err = projectOf(up.glance); err != nil {
		return nil, err
	}
	endpoint := gophercloud.EndpointOpts{Region: regionOf(cfg)}
	if in.nova, err = openstack.NewComputeV2(up.glance.ProviderClient, endpoint); err != nil {
		return nil, err
	}
	in.neutron, err = openstack.NewNetworkV2(up.glance.ProviderClient, endpoint)
	return in, err
}

// run checks all, and then makes all.
func (in *nebula) run() error {
	pages, err := networks.List(in.neutron, nil).AllPages(in.ctx)
	if err != nil {
		return refusal(err)
	}
	if in.networks, err = networks.ExtractNetworks(pages); err != nil {
		return err
	}
	for _, i := range in.plan.Images {
		found, err := in.findImage(i)
		if err != nil {
			return fmt.Errorf("image %s: %w", i.Name, err)
		}
		in.images = append(in.images, found)
	}
	for _, m := range in.plan.Machines {
		if err := in.check(m); err != nil {
			return fmt.Errorf("virtual machine %s: %w", m.Name, err)
		}
	}
	for n, i := range in.plan.Images {
		if err := in.makeImage(n, i); err != nil {
			return fmt.Errorf("image %s: %w", i.Name, err)
		}
	}
	for _, m := range in.plan.Machines {
		if err := in.makeServer(m); err != nil {
			return fmt.Errorf("virtual machine %s: %w", m.Name, err)
		}
	}
	return nil
}

// findImage looks for an image in the cloud, else for its file.
func (in *nebula) findImage(i opennebula.Image) (found nebulaImage, err error) {
	if found, err = in.inCloud(i.Name); err != nil || found.id != "" {
		return found, err
	}
	places := []string{i.Path}
	for _, d := range in.dirs {
		if d != "" {
			places = append(places, filepath.Join(d, filepath.Base(i.Path)))
		}
	}
	at := slices.IndexFunc(places, func(p string) bool {
		info, err := os.Stat(p)
		return err == nil && info.Mode().IsRegular()
	})
	if at < 0 {
		return found, fmt.Errorf("its file is at none of %v: --image-dir says where it lies", places)
	}
	layer, info, err := guestfs.Image(places[at])
	if err != nil {
		return found, err
	}
	found = nebulaImage{path: layer.Path, format: string(layer.Format), size: info.VirtualSize}
	if i.CD {
		found.format = "iso"
	}
	return found, nil
}

// inCloud is the newest active image of a name, the project's own before others that it may use; none has
// no id.
func (in *nebula) inCloud(name string) (found nebulaImage, err error) {
	pages, err := images.List(in.glance, images.ListOpts{Name: name, Status: images.ImageStatusActive, Sort: "created_at:desc"}).AllPages(in.ctx)
	if err != nil {
		return found, refusal(err)
	}
	list, err := images.ExtractImages(pages)
	if err != nil {
		return found, err
	}
	at := slices.IndexFunc(list, func(i images.Image) bool { return i.Owner == in.project })
	if at < 0 {
		at = slices.IndexFunc(list, in.offered)
	}
	if at < 0 {
		return found, nil
	}
	return nebulaImage{id: list[at].ID, format: list[at].DiskFormat, size: sizeInCloud(list[at])}, nil
}

// offered tells whether an image of another project is for all, or for this one: an admin sees the others
// too.
func (in *nebula) offered(i images.Image) bool {
	switch i.Visibility {
	case images.ImageVisibilityPublic, images.ImageVisibilityCommunity:
		return true
	case images.ImageVisibilityShared:
		member, err := members.Get(in.ctx, in.glance, i.ID, in.project).Extract()
		return err == nil && member.Status == "accepted"
	}
	return false
}

// sizeInCloud is how large the disk in an image is, in bytes.
func sizeInCloud(i images.Image) int64 { return cmp.Or(i.VirtualSize, i.SizeBytes) }

// check refuses a machine that cannot be made as it is described.
func (in *nebula) check(m opennebula.Machine) error {
	pages, err := servers.List(in.nova, servers.ListOpts{Name: "^" + regexp.QuoteMeta(m.Name) + "$"}).AllPages(in.ctx)
	if err != nil {
		return refusal(err)
	}
	if list, err := servers.ExtractServers(pages); err != nil || len(list) > 0 {
		return errors.Join(err, fmt.Errorf("there is a server of this name already, %s", first(list, func(s servers.Server) string { return s.ID })))
	}
	if m.Image.Name != "" {
		if i, err := in.imageOf(m); err != nil || i.id == "" && i.path == "" {
			return errors.Join(err, fmt.Errorf("there is no image %q, neither in the files nor in the cloud", m.Image.Name))
		}
	}
	for _, n := range m.NICs {
		if _, err := in.networkOf(n); err != nil {
			return err
		}
		if _, err := in.portOf(m, n); err != nil {
			return err
		}
	}
	return nil
}

// imageOf is the image of a machine's disk, of the files or of the cloud.
func (in *nebula) imageOf(m opennebula.Machine) (nebulaImage, error) {
	if m.Image.Number >= 0 {
		return in.images[m.Image.Number], nil
	}
	for n, i := range in.plan.Images {
		if i.Name == m.Image.Name {
			return in.images[n], nil
		}
	}
	return in.inCloud(m.Image.Name)
}

func (in *nebula) makeImage(n int, i opennebula.Image) error {
	at := &in.images[n]
	if at.id != "" {
		fmt.Fprintf(in.out, "image %s %s (it is there)\n", at.id, i.Name)
		return nil
	}
	var err error
	if at.id, err = in.put(i.Name, at.format, at.path, i.Properties); err != nil {
		return err
	}
	made, err := images.Get(in.ctx, in.glance, at.id).Extract()
	if err != nil {
		return refusal(err)
	}
	at.size = sizeInCloud(*made) // as an import that is repeated finds it, so that it finds the flavor too
	if i.Public {
		if _, err := images.Update(in.ctx, in.glance, at.id, images.UpdateOpts{images.UpdateVisibility{Visibility: images.ImageVisibilityPublic}}).Extract(); err != nil {
			fmt.Fprintf(in.progress, "note: PUBLIC: image %s stays the project's own: %v\n", at.id, refusal(err))
		}
	}
	fmt.Fprintf(in.out, "image %s %s\n", at.id, i.Name)
	return nil
}

func (in *nebula) makeServer(m opennebula.Machine) error {
	image, err := in.imageOf(m)
	if err != nil {
		return err
	}
	flavor, err := in.flavor(m, image.size)
	if err != nil {
		return fmt.Errorf("flavor: %w", err)
	}
	opts := servers.CreateOpts{Name: m.Name, ImageRef: image.id, FlavorRef: flavor, Metadata: m.Metadata, Networks: "none"}
	var nics []servers.Network
	ids, err := in.ports(m)
	if err != nil {
		return fmt.Errorf("port: %w", err)
	}
	for _, id := range ids {
		nics = append(nics, servers.Network{Port: id})
	}
	if len(nics) > 0 {
		opts.Networks = nics
	}
	nova := *in.nova
	nova.Microversion = "2.37" // the first that knows networks "none"
	s, err := servers.Create(in.ctx, &nova, opts, nil).Extract()
	if err != nil {
		return refusal(err)
	}
	fmt.Fprintf(in.out, "server %s %s\n", s.ID, m.Name)
	return nil
}

// flavor finds one of the machine's sizes, else makes one of its name.
func (in *nebula) flavor(m opennebula.Machine, size int64) (string, error) {
	disk := int((size + 1<<30 - 1) >> 30)
	pages, err := flavors.ListDetail(in.nova, nil).AllPages(in.ctx)
	if err != nil {
		return "", refusal(err)
	}
	list, err := flavors.ExtractFlavors(pages)
	if err != nil {
		return "", err
	}
	for _, f := range list {
		if f.RAM == m.MemoryMB && f.VCPUs == m.VCPUs && f.Disk == disk && f.Swap == m.SwapMB && f.Ephemeral == m.DiskGB {
			fmt.Fprintf(in.out, "flavor %s %s (it is there)\n", f.ID, f.Name)
			return f.ID, nil
		}
	}
	f, err := flavors.Create(in.ctx, in.nova, flavors.CreateOpts{Name: m.Name, RAM: m.MemoryMB, VCPUs: m.VCPUs, Disk: &disk, Swap: &m.SwapMB, Ephemeral: &m.DiskGB}).Extract()
	if err != nil {
		return "", fmt.Errorf("none has %d MiB, %d processors, %d GiB, and none was made: %w", m.MemoryMB, m.VCPUs, disk, refusal(err))
	}
	fmt.Fprintf(in.out, "flavor %s %s\n", f.ID, f.Name)
	return f.ID, nil
}
