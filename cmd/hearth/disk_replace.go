package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
)

// newDiskReplace is 'hearth disk replace'.
func newDiskReplace(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "replace SERVER FILE", Short: "Give a server that is off the content of a disk image in place of what it boots from", Args: cobra.ExactArgs(2),
		Long: "Give the root disk of a server that is off, or the volume that it boots from, the content of a disk image: raw or\n" +
			"qcow2, no larger than the disk. All else of the server stays: its other disks, its image, its addresses, and what\n" +
			"makes the guest itself, as ssh host keys, is as FILE has it. What was on the disk is gone. For a disk that\n" +
			"'hearth disk mount --rw' kept, or one that was mended or restored elsewhere.",
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := reachCloud(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			server, err := serverNamed(cmd.Context(), at.nova, args[0])
			if err != nil {
				return err
			}
			return at.replaceDisk(cmd.Context(), server, args[1], "", cmd.ErrOrStderr())
		},
	}
}

// serverLock is a server that others may not change meanwhile.
type serverLock struct {
	at      reach
	server  string
	request string // that locked it, or the last one to change it before
	ours    bool
}

// lock locks a server, unless somebody has done so before.
func (at reach) lock(ctx context.Context, s *servers.Server, why string) (*serverLock, error) {
	l := &serverLock{at: at, server: s.ID}
	nova := since(at.nova, "2.73") // from which on locks have reasons
	var now struct{ Server struct{ Locked bool } }
	if _, err := nova.Get(ctx, nova.ServiceURL("servers", s.ID), &now, nil); err != nil { //nolint:bodyclose // the answer is read and closed
		return nil, refusal(err)
	}
	if !now.Server.Locked {
		if _, err := act(ctx, nova, s.ID, "lock", map[string]any{"locked_reason": why}); err != nil {
			return nil, err
		}
		l.ours = true
	}
	var all struct{ InstanceActions []action }
	if err := history(ctx, at.nova, s.ID, &all); err != nil {
		return l, errors.Join(err, l.open(context.WithoutCancel(ctx)))
	}
	if len(all.InstanceActions) > 0 {
		l.request = all.InstanceActions[0].RequestID
	}
	return l, nil
}

// open takes the lock off that it put on.
func (l *serverLock) open(ctx context.Context) error {
	if !l.ours {
		return nil
	}
	l.ours = false
	_, err := act(ctx, l.at.nova, l.server, "unlock", nil)
	return err
}

// act has nova do something to a server, and gives the request's id.
func act(ctx context.Context, nova *gophercloud.ServiceClient, server, name string, with any) (request string, err error) {
	resp, err := nova.Post(ctx, nova.ServiceURL("servers", server, "action"), map[string]any{name: with}, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}}) //nolint:bodyclose // there is none
	if err != nil {
		return "", refusal(err)
	}
	return resp.Header.Get("X-Openstack-Request-Id"), nil
}

// replaceDisk gives a server the disk in a file. after is the last request that the file
// knows of; "" for no matter what was done to the server.
func (at reach) replaceDisk(ctx context.Context, server *servers.Server, path, after string, say io.Writer) (err error) {
	layer, err := replacement(path)
	if err != nil {
		return err
	}
	if layer.Format != disk.QCOW2 { // its holes would be sent
		work, err := os.MkdirTemp(filepath.Dir(path), ".hearth-disk-replace-")
		if err != nil { // of somebody else's folder
			work, err = os.MkdirTemp("", "hearth-disk-replace-")
		}
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		path = filepath.Join(work, "disk.qcow2")
		if err := (&disk.Runner{Timeout: 24 * time.Hour}).Convert(ctx, layer, disk.Target{Path: path, Format: disk.QCOW2}, nil); err != nil {
			return err
		}
	}
	id, err := uploader{ctx: ctx, glance: at.glance, progress: say}.put("disk of "+server.Name+", changed", string(disk.QCOW2), path, nil)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, refusal(images.Delete(context.WithoutCancel(ctx), at.glance, id).ExtractErr()))
	}()
	fmt.Fprintln(say, "  the server gets the disk")
	with := map[string]any{"image_id": id}
	if after != "" {
		with["after"] = after
	}
	request, err := act(ctx, at.nova, server.ID, "hearthReplaceRoot", with)
	if err != nil {
		return err
	}
	return at.await(ctx, server.ID, request)
}

// replacement is the disk in a file. What is none would be written over a disk all the same.
func replacement(path string) (disk.Layer, error) {
	layer, info, err := guestfs.Image(path)
	if err != nil {
		return layer, err
	}
	what := info.NoDisk()
	switch {
	case what != "":
	case layer.Format != disk.Raw && layer.Format != disk.QCOW2:
		what = "it is a " + string(layer.Format)
	case info.VirtualSize < 512 || info.VirtualSize%512 != 0:
		what = fmt.Sprintf("it has %d bytes, which is no number of whole sectors", info.VirtualSize)
	default:
		return layer, nil
	}
	return layer, fmt.Errorf("%s is no disk, raw or qcow2 (%s): 'hearth image convert' makes one", path, what)
}

// await waits until a request to a server is carried out, and gives the error if that
// failed.
func (at reach) await(ctx context.Context, server, request string) error {
	ask := time.NewTicker(500 * time.Millisecond)
	defer ask.Stop()
	for {
		var one struct{ InstanceAction action }
		if err := history(ctx, at.nova, server, &one, request); err != nil {
			return err
		}
		for _, e := range one.InstanceAction.Events {
			switch e.Result {
			case "Success":
				return nil
			case "Error":
				return errors.New(strings.TrimSpace(e.Details))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ask.C:
		}
	}
}
