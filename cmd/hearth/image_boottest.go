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

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/bake/boottest"
	"hearth/internal/config"
	"hearth/internal/disk"
)

// newBootTest is 'hearth image boot-test'.
func newBootTest(cfg *config.Config) *cobra.Command {
	var opt boottest.Options
	var reports string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "boot-test FILE|IMAGE", Short: "Boot an image under QEMU, log in, switch it off, and report", Args: cobra.ExactArgs(1),
		Long: "Boot an image under QEMU as any user, on a network that leads nowhere, and watch: boot loader,\n" +
			"kernel, DHCP lease, login prompt, ssh, a login with a key from its metadata, the power button.\n" +
			"The image is not changed. --report DIR gets boot-test.json, boot-test.xml (JUnit), console.log.\n" +
			"NAME.ext4 of an AMI is started by NAME.vmlinuz and NAME.initrd beside it, without a boot loader.\n\n" +
			"An argument that is no file is an image of the cloud, by its id or name: it is downloaded, and\n" +
			"the result kept in its properties hearth_boot_test (pass or fail), hearth_boot_test_at,\n" +
			"hearth_boot_test_digest (of what was tested) and hearth_boot_test_reason.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case opt.Kernel == "" && opt.Ramdisk != "":
				return errors.New("--initrd is the ramdisk of --kernel: name both")
			case opt.Kernel == "" && opt.Append != "" && !strings.HasSuffix(args[0], ".ext4"): // which has its kernel beside it
				return errors.New("--append is the command line of --kernel: name both")
			case opt.MemoryMB < 1:
				return fmt.Errorf("a guest of %d MiB of memory cannot be started: --memory 1024 is usual", opt.MemoryMB)
			}
			if reports != "" { // before the minutes of a boot
				if err := os.MkdirAll(reports, 0o755); err != nil {
					return fmt.Errorf("the reports cannot be written: %w; name another folder with --report", err)
				}
			}
			opt.Image, opt.CacheDir, opt.Tell = args[0], "", func(s boottest.Stage) {
				fmt.Fprintf(cmd.ErrOrStderr(), "  %7.1f s  %-12s %s\n", s.Seconds, s.Name, s.Text)
			}
			try := func() (*boottest.Report, error) {
				return boottest.Run(cmd.Context(), &disk.Runner{Timeout: time.Hour}, opt)
			}
			var r *boottest.Report
			var err error
			if _, missing := os.Stat(args[0]); errors.Is(missing, os.ErrNotExist) {
				r, err = testInCloud(cmd, cfg, &opt, try)
			} else {
				r, err = try()
			}
			if err != nil {
				return err
			}
			return tellTested(cmd.OutOrStdout(), r, reports, asJSON)
		},
	}
	cmd.Flags().StringVar((*string)(&opt.Format), "format", "", "format that the image must be of (default: what its bytes say)")
	cmd.Flags().StringVar(&opt.Kernel, "kernel", "", "a kernel that is started in the boot loader's place (default: of NAME.ext4 the NAME.vmlinuz beside it)")
	cmd.Flags().StringVar(&opt.Ramdisk, "initrd", "", "the ramdisk of --kernel")
	cmd.Flags().StringVar(&opt.Append, "append", "", "the command line of --kernel (default: what the image's own menu has, and its root)")
	cmd.Flags().StringVar(&opt.User, "user", "", "who logs in by ssh (default: those that the image's configuration names, and usual ones)")
	cmd.Flags().StringVar(&opt.Machine, "arch", "", "machine: pc or q35 (default: as servers get here)")
	cmd.Flags().StringVar(&opt.CPU, "cpu", "", "model of the processor, by QEMU's name such as qemu64 (default: all that the accelerator gives)")
	cmd.Flags().StringVar(&opt.Firmware, "firmware", "", "bios or uefi (default: bios, unless the image boots by UEFI only)")
	cmd.Flags().StringVar(&opt.Accel, "accel", "auto", "auto, kvm or tcg; auto measures whether KVM is fast")
	cmd.Flags().IntVar(&opt.MemoryMB, "memory", 1024, "memory of the guest, MiB")
	cmd.Flags().DurationVar(&opt.Timeout, "timeout", 0, "time for the whole (default: 3m with KVM, 10m without)")
	cmd.Flags().StringVar(&reports, "report", "", "directory for boot-test.json, boot-test.xml and console.log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

// tellTested prints and keeps a report; an image that failed is an error.
func tellTested(w io.Writer, r *boottest.Report, dir string, asJSON bool) error {
	if dir != "" {
		if err := r.Write(dir); err != nil {
			return err
		}
	}
	if asJSON {
		if err := printJSON(w, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "%s  %s in %.1f s (%s, %s, %s, %s, QEMU %s)\n", filepath.Base(r.Image), r.Result, r.Seconds, r.Machine, r.CPU, r.Firmware, r.Accel, r.QEMU)
		for _, line := range r.Guest {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	if r.Result != boottest.Passed {
		return fmt.Errorf("the image failed its boot test: %s", r.Reason)
	}
	return nil
}

// testInCloud tests an image of the cloud and keeps the result in its properties.
func testInCloud(cmd *cobra.Command, cfg *config.Config, opt *boottest.Options, try func() (*boottest.Report, error)) (*boottest.Report, error) {
	up, err := newUploader(cmd, cfg)
	if err != nil {
		return nil, fmt.Errorf("there is no file %s, and no cloud to look for an image of that name: %w", opt.Image, err)
	}
	image, err := up.find(opt.Image)
	if err != nil {
		return nil, err
	}
	if image.ContainerFormat != "bare" {
		return nil, fmt.Errorf("image %s is one of %s, which boots by a kernel of its own; disks are tested here", image.ID, image.ContainerFormat)
	}
	dir, err := os.MkdirTemp("", "hearth-boot-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := opt.Image
	opt.Image = filepath.Join(dir, "image")
	if err := up.download(image.ID, opt.Image); err != nil {
		return nil, err
	}
	r, err := try()
	if err != nil {
		return nil, err
	}
	r.Image = name
	digest, _ := image.Properties["os_hash_value"].(string)
	return r, up.keep(image, map[string]string{"hearth_boot_test": r.Result, "hearth_boot_test_at": r.Started.Format(time.RFC3339),
		"hearth_boot_test_digest": digest, "hearth_boot_test_reason": short(r.Reason)})
}

// short is a sentence as long as glance keeps one.
func short(s string) string {
	if len(s) > 255 {
		return s[:250] + " …"
	}
	return s
}

// find gives an image by its id or its name.
func (u uploader) find(name string) (*images.Image, error) {
	image, err := imageNamed(u.ctx, u.glance, name)
	if err != nil {
		return nil, fmt.Errorf("%s is no file, and of an image in the cloud: %w", name, err)
	}
	return image, nil
}

// download writes an image to a new file.
func (u uploader) download(id, path string) error {
	body, err := imagedata.Download(u.ctx, u.glance, id).Extract()
	if err != nil {
		return refusal(err)
	}
	defer body.Close()
	return disk.CopySparse(u.ctx, path, body)
}

// keep sets properties of an image; an empty one is taken away.
func (u uploader) keep(image *images.Image, properties map[string]string) error {
	var change images.UpdateOpts
	for _, name := range []string{"hearth_boot_test", "hearth_boot_test_at", "hearth_boot_test_digest", "hearth_boot_test_reason"} {
		_, has := image.Properties[name]
		op := images.AddOp
		switch value := properties[name]; {
		case has && value == "":
			op = images.RemoveOp
		case has:
			op = images.ReplaceOp
		case value == "":
			continue
		}
		change = append(change, images.UpdateImageProperty{Op: op, Name: name, Value: properties[name]})
	}
	_, err := images.Update(context.WithoutCancel(u.ctx), u.glance, image.ID, change).Extract()
	return refusal(err)
}
