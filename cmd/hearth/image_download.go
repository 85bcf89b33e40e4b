package main

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk/convert"
)

// newDownload is 'hearth image download'.
func newDownload(cfg *config.Config) *cobra.Command {
	c := conversion{run: imageRunner(24 * time.Hour)}
	cmd := &cobra.Command{
		Use: "download ID --to qcow2|raw|vmdk|vdi|vhd|vhdx|ova --out FILE|-", Short: "Download an image, in any format", Args: cobra.ExactArgs(1),
		Long: "Download an image of the cloud of the OS_… variables, or of this machine. It is made one\n" +
			"of the format on the way, on this machine, as 'hearth image convert' does; 'openstack image save'\n" +
			"gives it as it was uploaded.",
		RunE: func(cmd *cobra.Command, args []string) error {
			up, err := newUploader(cmd, cfg)
			if err != nil {
				return err
			}
			image, err := images.Get(cmd.Context(), up.glance, args[0]).Extract()
			if err != nil {
				return refusal(err)
			}
			body, err := imagedata.Download(cmd.Context(), up.glance, image.ID).Extract()
			if err != nil {
				return refusal(err)
			}
			defer body.Close()
			digest, _ := image.Properties["os_hash_value"].(string)
			if algorithm, _ := image.Properties["os_hash_algo"].(string); algorithm != "sha512" {
				digest = ""
			}
			c.length = image.SizeBytes
			if c.input, err = convert.NewStream(cmd.Context(), &verified{Reader: body, sum: sha512.New(), want: digest}); err != nil {
				return err
			}
			defer c.input.Close()
			if c.machine.name = strings.Map(plainName, image.Name); c.machine.name == "" {
				c.machine.name = image.ID
			}
			if c.to == "ova" {
				return c.ova(cmd)
			}
			return c.disk(cmd)
		},
	}
	cmd.Flags().StringVar(&c.to, "to", "", "the format of the file")
	cmd.Flags().StringVarP(&c.out, "out", "o", "", "the file to be made, which must not exist; - for standard output")
	cmd.Flags().StringVar(&c.compress, "compress", "", "zstd or zlib: compress a qcow2")
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "report as JSON")
	_ = cmd.MarkFlagRequired("out")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// verified is a download that is an error at its end when it is not what the cloud
// has.
type verified struct {
	io.Reader
	sum  hash.Hash
	want string // SHA-512, in hexadecimal; "" if it is not known
}

// Read reads on.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
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
