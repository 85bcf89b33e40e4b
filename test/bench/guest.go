package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
)

// guest measures from the request to the first byte on the guest's serial line,
// against QEMU by hand with the same devices, in turns. The node has the image
// already: the first create brings it there and is shown apart.
func (b bench) guest() []figure {
	c := b.newCloud("qemu")
	defer tidy()
	c.start()
	c.login()
	disk := b.ember()
	body, err := os.ReadFile(disk)
	check(err)
	image := c.upload("ember", "qcow2", bytes.NewReader(body))
	pages, err := networks.List(c.network, networks.ListOpts{Name: "private"}).AllPages(context.Background())
	check(err)
	private, err := networks.ExtractNetworks(pages)
	check(err)
	cold := c.firstByte(image, private[0].ID)
	var ours, bare, ratios []float64
	for range 2 * b.runs {
		mine, hand := c.firstByte(image, private[0].ID), bareFirstByte(c.data, disk)
		ours, bare, ratios = append(ours, mine.Seconds()), append(bare, hand.Seconds()), append(ratios, mine.Seconds()/hand.Seconds())
	}
	return []figure{
		plain("create to first serial byte, image new to the node", "s", []float64{cold.Seconds()}), plain("create to first serial byte", "s", ours),
		plain("QEMU by hand to first serial byte", "s", bare), atMost("create against QEMU by hand", 1.1, "×", ratios),
	}
}

// ember is the baked image; it is baked if no test has done so.
func (b bench) ember() string {
	dir := filepath.Join(b.cache, "bench")
	disk := filepath.Join(dir, "ember.qcow2")
	if _, err := os.Stat(disk); err != nil {
		cmd := exec.Command(b.bin, "bake", "ember", "--out", dir, "--cache", filepath.Join(b.cache, "packages"))
		cmd.Stderr = os.Stderr
		check(cmd.Run())
	}
	return disk
}

// rest is the pause before each run, so that the guest before it is cleared away.
const rest = time.Second

// firstByte creates a server and waits for the first byte of its console log.
func (c *aCloud) firstByte(image, network string) time.Duration {
	ctx := context.Background()
	<-time.NewTimer(rest).C
	began := time.Now()
	s, err := servers.Create(ctx, c.compute, servers.CreateOpts{Name: "first", ImageRef: image, FlavorRef: "1", Networks: []servers.Network{{UUID: network}}}, nil).Extract()
	check(err)
	took := awaitByte(began, filepath.Join(c.data, "node", "*", s.ID, "guest", "console.log"))
	check(servers.Delete(ctx, c.compute, s.ID).ExtractErr())
	c.awaitAll(func(all []servers.Server) bool { return len(all) == 0 })
	return took
}

// awaitByte waits until a file has something in it.
func awaitByte(began time.Time, pattern string) time.Duration {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		found, err := filepath.Glob(pattern)
		check(err)
		if len(found) == 1 {
			if info, err := os.Stat(found[0]); err == nil && info.Size() > 0 {
				return time.Since(began)
			}
		}
		if time.Since(began) > 2*time.Minute {
			check(fmt.Errorf("nothing on the serial line %s", pattern))
		}
	}
}

// bareFirstByte starts QEMU as a person would who wants the same machine. The
// disk is made before: only QEMU and the guest are measured.
func bareFirstByte(dir, image string) time.Duration {
	disk, serial := filepath.Join(dir, "bare.qcow2"), filepath.Join(dir, "bare.log")
	defer os.Remove(disk)
	defer os.Remove(serial)
	check(exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", disk, "1G").Run())
	<-time.NewTimer(rest).C
	began := time.Now()
	cmd := exec.Command("qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none", "-vga", "none",
		"-machine", "pc,usb=off,vmport=off,dump-guest-core=off", "-accel", "tcg,thread=multi,tb-size=128", "-cpu", "max", "-smp", "1", "-m", "512M",
		"-device", "pvpanic", "-chardev", "file,id=serial0,path="+serial, "-device", "isa-serial,chardev=serial0",
		"-object", "rng-builtin,id=rng0", "-device", "virtio-rng-pci,rng=rng0",
		"-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile=,host_mtu=1450",
		"-blockdev", "qcow2,node-name=root,discard=unmap,detect-zeroes=unmap,file.driver=file,file.discard=unmap,file.filename="+disk,
		"-device", "virtio-blk-pci,drive=root,bootindex=1", "-device", "virtio-balloon-pci", "-boot", "strict=on,menu=off")
	cmd.Stderr = os.Stderr
	check(cmd.Start())
	took := awaitByte(began, serial)
	check(cmd.Process.Kill())
	_ = cmd.Wait()
	return took
}
