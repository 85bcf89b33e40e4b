package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hearth/internal/disk/deploy"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// newOSDefOverlay is 'hearth os-def overlay'.
func newOSDefOverlay(in func() osdef.Dir, within within) *cobra.Command {
	cmd := &cobra.Command{Use: "overlay", Short: "Keep overlays, files that definitions put into guests, with their versions"}
	cmd.AddCommand(&cobra.Command{
		Use: "put NAME FOLDER|ARCHIVE|docker://IMAGE", Short: "Keep a folder, an archive or the layers of a registry's image as the next version of an overlay", Args: cobra.ExactArgs(2),
		Long: "Keep a folder, an archive, or the files of an image's layers in a registry (docker://HOST/NAME:TAG,\n" +
			"oci://…) as the next version of an overlay, which definitions name by OVERLAY=NAME\n" +
			"or OVERLAY=NAME@VERSION: in the cloud, as an image that servers of all projects take it from if an\n" +
			"administrator puts it, else those of the caller's; or in the folder. A file whose name ends in .hearth-template is filled for each instance:\n\n" +
			"  {{.Name}} {{.Hostname}} {{.Domain}} {{.Settings.DNS_SERVERS}} {{range .NICs}}{{.MAC}} {{.Addresses}}{{end}}",
		RunE: func(cmd *cobra.Command, args []string) error {
			from, done, err := overlaySource(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			defer done()
			kept, err := within(cmd.Context())
			if err != nil {
				return err
			}
			put := in().PutOverlay
			if c, ok := kept.(*inCloud); ok {
				put = c.PutOverlay
			}
			ref, err := put(cmd.Context(), args[0], from)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), ref)
			return nil
		},
	}, &cobra.Command{
		Use: "list", Short: "List the overlays with their versions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kept, err := within(cmd.Context())
			if err != nil {
				return err
			}
			if c, ok := kept.(*inCloud); ok {
				return c.listOverlays(cmd.OutOrStdout())
			}
			names, err := in().Overlays()
			if err != nil {
				return err
			}
			for _, name := range names {
				versions, err := in().OverlayVersions(name)
				if err != nil {
					return err
				}
				for _, v := range versions {
					fmt.Fprintf(cmd.OutOrStdout(), "%s@%d\n", name, v)
				}
			}
			return nil
		},
	})
	return cmd
}

// overlaySource is the tree of files that an argument names; done lets go of it.
func overlaySource(ctx context.Context, name string) (from tree.Source, done func(), err error) {
	if strings.Contains(name, "://") {
		return overlayLayers(ctx, name)
	}
	st, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if st.IsDir() {
		return deploy.Folder(name), func() {}, nil
	}
	return tarball.File(name), func() {}, nil
}

// overlayLayers fetches the layers of an image in a registry as one archive.
func overlayLayers(ctx context.Context, uri string) (from tree.Source, done func(), err error) {
	web, err := fromAnywhere()
	if err != nil {
		return nil, nil, err
	}
	body, err := web.OpenTree(ctx, uri)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	f, err := os.CreateTemp("", "hearth-overlay-*.tar")
	if err != nil {
		return nil, nil, err
	}
	_, err = io.Copy(f, io.LimitReader(body, overlayMost+1))
	if info, failed := f.Stat(); err == nil && (failed != nil || info.Size() > overlayMost) {
		err = errors.Join(failed, fmt.Errorf("the layers have more than %d GiB, which is no overlay", overlayMost>>30))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return nil, nil, err
	}
	return tarball.File(f.Name()), func() { _ = os.Remove(f.Name()) }, nil
}

// overlayMost is how many bytes of layers are taken for an overlay.
const overlayMost = 4 << 30
