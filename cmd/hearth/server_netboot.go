package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/bake/netboot"
	"hearth/internal/config"
)

// netbootMark is the property of an image that is a CD-ROM of iPXE: of which iPXE and which script.
const netbootMark = "hearth_netboot"

// overNetwork is what 'hearth server create --netboot' is told beyond the rest.
type overNetwork struct {
	netboot.Start
	ipxe string
}

func (n *overNetwork) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&n.URL, "netboot", "", "install over the server's network: URL of an installer's folder (ending in /), an iPXE script, a program for iPXE, or a kernel (with --initrd)")
	cmd.Flags().StringArrayVar(&n.Ramdisks, "initrd", nil, "URL of the ramdisk of a kernel that --netboot names; may be repeated")
	cmd.Flags().StringVar(&n.Arguments, "append", "", "arguments of the kernel that --netboot starts")
	cmd.Flags().StringVar(&n.ipxe, "ipxe", netboot.IPXE, "iPXE's CD-ROM, with --netboot")
}

// image is the id of the CD-ROM that starts a server over its network: one that is there
// already, or a new one.
func (n overNetwork) image(ctx context.Context, cfg *config.Config, progress io.Writer) (string, error) {
	script, err := n.Script()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "hearth-netboot-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	cd := filepath.Join(dir, "netboot.iso")
	if err := netboot.CD(cd, n.ipxe, script); err != nil {
		return "", err
	}
	ipxe, err := os.ReadFile(n.ipxe)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(ipxe, script...))
	mark := hex.EncodeToString(sum[:])
	glance, err := imageClient(ctx, cfg)
	if err != nil {
		return "", err
	}
	name := "netboot"
	if u, err := url.Parse(n.URL); err == nil {
		name += " of " + u.Host + " " + path.Base(u.Path)
	}
	u := uploader{ctx: ctx, glance: glance, progress: progress}
	if id := u.withMark(name, mark); id != "" {
		return id, nil
	}
	id, err := u.put(name, "iso", cd, map[string]string{netbootMark: mark})
	if err != nil {
		return "", fmt.Errorf("the CD-ROM that starts it: %w", err)
	}
	return id, nil
}

// withMark is the image that was made for the same before; "" for none.
func (u uploader) withMark(name, mark string) string {
	pages, err := images.List(u.glance, images.ListOpts{Name: name, Status: images.ImageStatusActive}).AllPages(u.ctx)
	if err != nil {
		return ""
	}
	list, _ := images.ExtractImages(pages)
	for _, i := range list {
		if i.Properties[netbootMark] == mark {
			return i.ID
		}
	}
	return ""
}
