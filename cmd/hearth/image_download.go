package main

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk/ova"
	"hearth/internal/openstack/glance"
)

// newDownload is 'hearth image download'.
func newDownload(cfg *config.Config) *cobra.Command {
	c := conversion{run: imageRunner(24 * time.Hour), limit: inGiB(64 << 30), provider: ova.Libvirt}
	cmd := &cobra.Command{
		Use: "download IMAGE --to " + strings.Join(conversions, "|") + " --out FILE|-", Short: "Download an image, in any form", Args: cobra.ExactArgs(1),
		Long: "Download an image, by its id or name, of the cloud of the OS_… variables, or of this machine. It is made one\n" +
			"of the form on the way, on this machine, as 'hearth image convert' does, with the same names of files:\n" +
			"what holds files, an archive or a dump, goes into a file in the folder for temporary files (TMPDIR)\n" +
			"first. 'openstack image save' gives an image as it was uploaded.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.aim(); err != nil {
				return err
			}
			if err := c.ready(); err != nil {
				return err
			}
			up, err := newUploader(cmd, cfg)
			if err != nil {
				return err
			}
			return c.download(cmd, up.glance, args[0], glance.StallTime)
		},
	}
	cmd.Flags().StringVar(&c.to, "to", "", "the form of the file")
	cmd.Flags().StringVarP(&c.out, "out", "o", "", "the file to be made, which must not exist; - for standard output")
	cmd.Flags().StringVar(&c.compress, "compress", "", "zstd or zlib: compress a qcow2")
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "report as JSON")
	_ = cmd.MarkFlagRequired("out")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// download makes what was settled of an image of a cloud, by its id or name, which is given up when it is
// silent for longer than patience.
func (c *conversion) download(cmd *cobra.Command, from *gophercloud.ServiceClient, name string, patience time.Duration) error {
	image, err := imageNamed(cmd.Context(), from, name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	body, err := imagedata.Download(ctx, from, image.ID).Extract()
	if err != nil {
		return refusal(err)
	}
	body = glance.Steady(ctx, cancel, body, patience)
	digest, _ := image.Properties["os_hash_value"].(string)
	if algorithm, _ := image.Properties["os_hash_algo"].(string); algorithm != "sha512" {
		digest = ""
	}
	c.length = image.SizeBytes
	if c.machine.name = strings.Map(plainName, image.Name); c.machine.name == "" {
		c.machine.name = image.ID
	}
	done, err := c.take(cmd, &verified{ReadCloser: body, sum: sha512.New(), want: digest}, c.machine.name)
	if err != nil {
		return err
	}
	defer done()
	return c.write(cmd)
}

// verified is a download that is an error at its end when it is not what the cloud
// has.
type verified struct {
	io.ReadCloser
	sum  hash.Hash
	want string // SHA-512, in hexadecimal; "" if it is not known
}

// Read reads on.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && v.want != "" && hex.EncodeToString(v.sum.Sum(nil)) != v.want {
		return n, errors.New("what arrived is not what the cloud has: its SHA-512 is another")
	}
	return n, err
}

// plainName keeps what the names of files have.
func plainName(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
		return r
	}
	return '-'
}
