package instance

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/storage"
)

// guestConfig is the guest of a spec: its disks in the order root or boot volume,
// ephemeral, swap, other volumes, config drive, its NICs in the order of the ports.
func (w *worker) guestConfig(ctx context.Context, spec cloud.InstanceSpec) (hypervisor.Config, error) {
	cfg := hypervisor.Config{
		ID: spec.ID, Name: spec.Name, VCPUs: spec.VCPUs, MemoryMB: spec.MemoryMB, Dir: w.m.GuestDir(spec.ID), Request: spec.Request, Notice: notice(w.rec.HostKeys),
	}
	firmware, err := smbios(spec)
	if err != nil {
		return cfg, err
	}
	cfg.SMBIOS = firmware
	if cloud.IsID(spec.ID) {
		cfg.UUID = spec.ID // cloud-init compares it with the metadata's uuid
	}
	machine, err := w.machine(ctx, spec.ImageProperties["hw_machine_type"])
	if err != nil {
		return cfg, err
	}
	cfg.Machine = machine
	cfg.Agent = cloud.GuestAgent(spec.ImageProperties)
	if cfg.Video, err = w.video(ctx, spec); err != nil {
		return cfg, err
	}
	if cfg.Disks, err = w.disks(ctx, spec); err != nil {
		return cfg, err
	}
	if cfg.NICs, err = w.nics(spec); err != nil {
		return cfg, err
	}
	return cfg, w.directBoot(ctx, spec, &cfg)
}

// imageDatasource is the image property that says where cloud-init in the guest
// looks for its metadata.
const imageDatasource = "hearth_datasource"

// noCloudSeed is what cloud-init's NoCloud reads from the serial number of its
// machine: where its files lie (cloud-init's documentation, "NoCloud"). Versions
// before 23.4 take a seed from the network by the name nocloud-net alone, later
// ones by both names.
const noCloudSeed = "ds=nocloud-net;s=http://169.254.169.254/nocloud/"

// smbios is what the firmware says of the machine: that it is nova's, or to images
// that say so, whose cloud-init has been given no source but NoCloud (installers
// and templates of other hypervisors), where their seed lies. Such a machine does
// not look like nova's: cloud-init would ask that source first.
func smbios(spec cloud.InstanceSpec) (hypervisor.SMBIOS, error) {
	switch asked := spec.ImageProperties[imageDatasource]; asked {
	case "", "openstack":
		return hypervisor.OpenStackSMBIOS(spec.ID), nil
	case "nocloud":
		return hypervisor.SMBIOS{Manufacturer: "Hearth", Product: "Hearth", Serial: noCloudSeed, Family: "Virtual Machine"}, nil
	default:
		return hypervisor.SMBIOS{}, cloud.E("instance.guest", cloud.Invalid, "the image asks for %s=%s; openstack and nocloud are known here", imageDatasource, asked)
	}
}

// machine is the machine type that an image asks for, if the hypervisor has it.
func (w *worker) machine(ctx context.Context, asked string) (string, error) {
	if asked == "" {
		return "", nil
	}
	caps, err := w.m.Hypervisor.Probe(ctx)
	if err != nil {
		return "", err
	}
	if !slices.Contains(caps.Machines, asked) {
		return "", cloud.E("instance.guest", cloud.Invalid, "the image asks for hw_machine_type=%s, which the hypervisor here does not have (it has %s)", asked, strings.Join(caps.Machines, ", "))
	}
	return asked, nil
}

// diskBus is the bus that an image's hw_disk_bus asks for.
func diskBus(asked string) (string, error) {
	switch asked {
	case "", "virtio":
		return hypervisor.BusVirtio, nil
	case "scsi":
		return hypervisor.BusSCSI, nil
	case "ide", "sata": // for guests without virtio drivers; both are AT Attachment to them
		return hypervisor.BusIDE, nil
	}
	return "", cloud.E("instance.guest", cloud.Invalid, "the image asks for hw_disk_bus=%s; virtio, scsi, ide and sata are known here", asked)
}

// disks are the guest's disks. The config drive is a read-only disk, as the
// small kernels that boot in clouds have drivers for those but not for CD-ROMs.
func (w *worker) disks(ctx context.Context, spec cloud.InstanceSpec) ([]hypervisor.Disk, error) {
	bus, err := diskBus(spec.ImageProperties["hw_disk_bus"])
	if err != nil {
		return nil, err
	}
	own, err := w.ownDisks(ctx, spec, bus)
	if err != nil {
		return nil, err
	}
	out, config := own, []hypervisor.Disk(nil)
	if n := len(own); n > 0 && own[n-1].ID == configDisk {
		out, config = slices.Clone(own[:n-1]), own[n-1:]
	}
	for _, v := range spec.Volumes {
		d, err := w.volumeDisk(ctx, v, bus)
		if err != nil {
			return nil, err
		}
		boot := spec.BootVolume()
		first := boot != nil && boot.VolumeID == v.VolumeID
		switch {
		case first:
			d.BootIndex = 1
		case v.BootIndex > 0 && !rescued(spec):
			d.BootIndex = 1 + v.BootIndex
		}
		if first || v.Boot && spec.RescueAs != nil {
			out = slices.Insert(out, 0, d)
			continue
		}
		out = append(out, d)
	}
	out = append(out, config...)
	drives, err := w.drives(ctx, spec)
	if err != nil {
		return nil, err
	}
	out = append(out, drives...)
	if spec.RescueAs == nil || spec.Intent.Disk.Why != cloud.DiskRescue {
		return out, nil
	}
	rescue, err := w.rescueDisk(ctx, spec)
	return append(out, rescue), err
}

// rescueDisk is the disk that a rescued guest boots from and which comes last: all
// others are where they always were.
func (w *worker) rescueDisk(ctx context.Context, spec cloud.InstanceSpec) (hypervisor.Disk, error) {
	d, err := w.m.Storage.Disk(ctx, diskID(spec.ID, rootName(spec.Intent.Disk.Turn)))
	if err != nil {
		return hypervisor.Disk{}, err
	}
	g := guestDisk(rescueDisk, d, spec.RescueAs.Bus)
	if spec.RescueAs.Bus == hypervisor.BusUSB {
		g.Bus = hypervisor.BusUSB
	}
	g.BootIndex, g.CDROM = 1, spec.RescueAs.Device == "cdrom"
	g.ReadOnly = g.CDROM
	return g, nil
}

// ownDisks are the disks that are the server's own, the config drive last.
func (w *worker) ownDisks(ctx context.Context, spec cloud.InstanceSpec, bus string) (out []hypervisor.Disk, err error) {
	names := []string{rootDisk, rescuedDisk}
	for i := range max(1, len(spec.Ephemerals())) { // one of a flavor that the instance had before may still be there
		names = append(names, ephemeralName(i))
	}
	for _, name := range append(names, swapDisk, configDisk) {
		file := name
		switch turns := spec.Intent.Disk; name {
		case rootDisk:
			if spec.BootVolume() != nil {
				continue
			}
			file = rootName(turns.Turn)
			if turns.Why == cloud.DiskRescue && spec.RescueAs != nil { // which is another: see rescueDisk
				if spec.VolumeBoot() {
					continue
				}
				file = rootName(turns.Kept)
			}
		case rescuedDisk:
			if turns.Why != cloud.DiskRescue || spec.RescueAs != nil {
				continue
			}
			file = rootName(turns.Kept)
		}
		d, err := w.m.Storage.Disk(ctx, diskID(spec.ID, file))
		if cloud.Is(err, cloud.NotFound) && name != rootDisk {
			continue
		}
		if err != nil {
			return nil, err
		}
		g := guestDisk(name, d, bus)
		if spec.RescueAs != nil && spec.Intent.Disk.Why == cloud.DiskRescue {
			g.BootIndex = 0
		}
		out = append(out, g)
	}
	return out, nil
}

func guestDisk(name string, d storage.Disk, bus string) hypervisor.Disk {
	g := hypervisor.Disk{ID: name, Path: d.Path, Format: d.Format, Bus: bus}
	if d.Backing != "" {
		g.Backing = &hypervisor.Backing{Path: d.Backing, Format: hypervisor.FormatRaw}
	}
	switch name {
	case rootDisk:
		g.BootIndex = 1
	case configDisk:
		g.ReadOnly = true
		g.CDROM = bus == hypervisor.BusIDE // whose disks cannot be read-only
	}
	return g
}

// nicModel is the card that an image's hw_vif_model asks for.
func nicModel(asked string) (string, error) {
	switch asked {
	case "", "virtio":
		return "", nil
	case "e1000", "e1000e", "rtl8139":
		return asked, nil
	}
	return "", cloud.E("instance.guest", cloud.Invalid, "the image asks for hw_vif_model=%s; virtio, e1000, e1000e and rtl8139 are known here", asked)
}

func (w *worker) nics(spec cloud.InstanceSpec) ([]hypervisor.NIC, error) {
	model, err := nicModel(spec.ImageProperties["hw_vif_model"])
	if err != nil {
		return nil, err
	}
	if len(w.taps) != len(spec.Ports) {
		return nil, cloud.E("instance.guest", cloud.Unavailable, "%d of %d ports are plugged; they are plugged again", len(w.taps), len(spec.Ports))
	}
	var out []hypervisor.NIC
	for i, p := range spec.Ports {
		n := nic(p, model)
		n.Tap = w.taps[i]
		out = append(out, n)
	}
	return out, nil
}

// directBoot adds the kernel of an AMI and its command line: the image's
// os_command_line in place of the usual one, and what the server adds.
func (w *worker) directBoot(ctx context.Context, spec cloud.InstanceSpec, cfg *hypervisor.Config) error {
	if spec.Kernel == nil || spec.RescueAs != nil && spec.Intent.Disk.Why == cloud.DiskRescue {
		return nil
	}
	kernel, err := w.image(ctx, *spec.Kernel)
	if err != nil {
		return err
	}
	cfg.Kernel = kernel.Path
	if spec.Ramdisk != nil {
		ramdisk, err := w.image(ctx, *spec.Ramdisk)
		if err != nil {
			return err
		}
		cfg.Initrd = ramdisk.Path
	}
	cfg.Cmdline = commandLine(spec, cfg.Disks[0].Bus)
	return nil
}

func commandLine(spec cloud.InstanceSpec, bus string) string {
	line := spec.ImageProperties["os_command_line"]
	if line == "" {
		root := "/dev/vda"
		if bus != hypervisor.BusVirtio {
			root = "/dev/sda"
		}
		line = "root=" + root + " console=tty0 console=ttyS0"
	}
	have := strings.Fields(line) // the server's words begin with the image's: each is said once
	for _, word := range strings.Fields(spec.KernelArgs) {
		if !slices.Contains(have, word) {
			line, have = line+" "+word, append(have, word)
		}
	}
	return strings.TrimSpace(line)
}
