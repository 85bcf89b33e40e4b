package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"hearth/internal/disk/uec"
)

// importArchive uploads the image that an archive holds, as it is read: "-" is stdin.
// When anything is wrong, no image stays.
func (u uploader) importArchive(name, path string, stdin io.Reader) (string, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		stdin = f
	}
	made, err := u.putMembers(name, stdin)
	if err == nil {
		err = u.join(made)
	}
	if err != nil {
		for _, id := range made {
			_ = images.Delete(context.WithoutCancel(u.ctx), u.glance, id)
		}
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return made[uec.Root], nil
}

// putMembers uploads each part of the image that comes by. The ids are those of all
// images that were made, in error too.
func (u uploader) putMembers(name string, from io.Reader) (map[uec.Kind]string, error) {
	made := map[uec.Kind]string{}
	archive, err := uec.Open(from)
	if err != nil {
		return made, err
	}
	defer archive.Close()
	suffix := map[uec.Kind]string{uec.Kernel: "-kernel", uec.Ramdisk: "-ramdisk"}
	for {
		member, body, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return made, nil
		}
		if err != nil {
			return made, err
		}
		fmt.Fprintf(u.progress, "  %s is the %s\n", printable(member.Name), map[uec.Kind]string{uec.Kernel: "kernel", uec.Ramdisk: "initial ramdisk", uec.Root: "root file system"}[member.Kind])
		id, err := u.create(name+suffix[member.Kind], string(member.Kind), nil)
		if err != nil {
			return made, err
		}
		made[member.Kind] = id
		if err := u.send(id, content{name: name + suffix[member.Kind], size: member.Size, Reader: body}); err != nil {
			return made, err
		}
	}
}

// printable is a name from outside as a terminal can be shown it.
func printable(name string) string {
	quoted := fmt.Sprintf("%+q", name)
	return quoted[1 : len(quoted)-1]
}

// join tells the root file system's image what it boots with.
func (u uploader) join(made map[uec.Kind]string) error {
	switch {
	case made[uec.Root] == "":
		return errors.New("the archive has no root file system: a file of ext2, ext3, ext4, XFS, Btrfs or F2FS")
	case made[uec.Kernel] == "":
		return errors.New("the archive has no kernel: a file like vmlinuz-…")
	}
	change := images.UpdateOpts{images.UpdateImageProperty{Op: images.AddOp, Name: "kernel_id", Value: made[uec.Kernel]}}
	if made[uec.Ramdisk] != "" {
		change = append(change, images.UpdateImageProperty{Op: images.AddOp, Name: "ramdisk_id", Value: made[uec.Ramdisk]})
	}
	_, err := images.Update(u.ctx, u.glance, made[uec.Root], change).Extract()
	return refusal(err)
}
