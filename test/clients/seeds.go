package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"hearth/test/outside"
)

//go:embed seeds.list
var seedsList string

// seedLine is a command line of a source document.
type seedLine struct{ place, line string }

// place is how the list says where a line stands.
var seedPlace = regexp.MustCompile(`^\d{3}:\d+$`)

// parseSeeds reads seeds.list.
func parseSeeds(list string) (all []seedLine, err error) {
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case seedPlace.MatchString(line):
			all = append(all, seedLine{place: line})
		case len(all) == 0:
			return nil, fmt.Errorf("%q stands before the first place", line)
		default:
			last := &all[len(all)-1]
			last.line = strings.TrimPrefix(last.line+"\n"+line, "\n")
		}
	}
	return all, nil
}

// seedShop is where the lines run: files, environment, and what they are about.
type seedShop struct {
	*outside.Client
	dir, image, server string
	env                []string
}

// runSeeds runs each line twice: as it stands, where Debian's client answers what
// it still understands, and with 'hearth' before it, as where none is installed.
func runSeeds(ctx context.Context, s *settings) ([]result, error) {
	lines, err := parseSeeds(seedsList)
	if err != nil {
		return nil, err
	}
	var results []result
	for _, way := range []string{"", "hearth "} {
		shop, err := openShop(ctx, s, strings.TrimSpace("seeds "+way))
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			r := result{name: "seeds." + way + l.place, state: passed}
			if err := shop.try(ctx, way, l); err != nil {
				r.state, r.reason = failed, err.Error()
			}
			results = append(results, r)
		}
		if err := shop.close(ctx); err != nil {
			return results, err
		}
	}
	return results, nil
}

// openShop makes the files that the documents speak of, an image and a server.
func openShop(ctx context.Context, s *settings, name string) (*seedShop, error) {
	shop := &seedShop{Client: s.cloud.Client, dir: filepath.Join(s.dir, name)}
	links := filepath.Join(shop.dir, "names")
	bin, err := filepath.Abs(s.cloud.Bin)
	if err != nil {
		return nil, err
	}
	iso := make([]byte, 40<<10)
	copy(iso[32769:], "CD001\x01") // where ISO 9660 has its mark
	ami := make([]byte, 1<<20)
	copy(ami[1080:], "\x53\xef") // and ext2 its own
	for file, body := range map[string][]byte{
		"vmlinuz-2.6.32-5-amd64": bytes.Repeat([]byte("kernel\n"), 500), "initrd.img-2.6.32-5-amd64": bytes.Repeat([]byte("ramdisk\n"), 500),
		"debian-squeeze-amd64-reduced.ami": ami, "path/to/iso/ubuntu-9.10.iso": iso,
	} {
		path := filepath.Join(shop.dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, body, 0o600)); err != nil {
			return nil, err
		}
	}
	shop.env = append(slices.Clone(s.cloud.Env), "PATH="+links+":/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONWARNINGS=ignore")
	prepare := fmt.Sprintf("%q old-names names && ln -s %q names/hearth && %q openrc > keystonerc && qemu-img create -q -f qcow2 gentoo.qcow2 1G", bin, bin, bin)
	if said, err := shop.shell(ctx, prepare); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	if err := shop.gone(ctx, "instance-name"); err != nil {
		return nil, err
	}
	var made struct{ Server struct{ ID string } }
	if err := shop.Do(ctx, "POST", "/compute/v2.1/servers", m{"server": m{"name": "instance-name", "imageRef": s.image, "flavorRef": "42", "networks": []m{{"uuid": s.network}}}}, &made); err != nil {
		return nil, err
	}
	shop.image, shop.server = s.image, made.Server.ID
	if err := shop.await(ctx, "/compute/v2.1/servers/"+shop.server, "server", "ACTIVE"); err != nil {
		return nil, err
	}
	return shop, nil
}

// close removes what others would stumble over.
func (shop *seedShop) close(ctx context.Context) error {
	var found struct{ Volumes []struct{ ID string } }
	err := errors.Join(shop.Do(ctx, "DELETE", "/compute/v2.1/servers/"+shop.server, nil, nil), shop.Get(ctx, "/volume/v3/volumes?name=mybootable-vol", &found))
	for _, v := range found.Volumes {
		err = errors.Join(err, shop.Do(ctx, "DELETE", "/volume/v3/volumes/"+v.ID, nil, nil))
	}
	return err
}

// gone waits until no server has a name.
func (shop *seedShop) gone(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var found struct{ Servers []struct{ ID string } }
		if err := shop.Get(ctx, "/compute/v2.1/servers?name="+name, &found); err != nil || len(found.Servers) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a server %s is still there", name)
		case <-tick.C:
		}
	}
}

// shell runs a line as a person does, and gives what it says.
func (shop *seedShop) shell(ctx context.Context, line string) (string, error) {
	cmd := exec.CommandContext(ctx, "/bin/bash", "-ec", line)
	cmd.Dir, cmd.Env = shop.dir, shop.env
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// try runs a line and looks at what came of it.
func (shop *seedShop) try(ctx context.Context, way string, l seedLine) error {
	line := strings.ReplaceAll(l.line, "<image-id>", shop.image)
	said, err := shop.shell(ctx, "source keystonerc\n"+way+line)
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return shop.outcome(ctx, way, l.place, said)
}

// outcome says what is wrong with what a line brought about.
func (shop *seedShop) outcome(ctx context.Context, way, place, said string) error {
	prints := func(words ...string) error {
		for _, w := range words {
			if !strings.Contains(said, w) {
				return fmt.Errorf("it does not say %q: %s", w, said)
			}
		}
		return nil
	}
	switch place {
	case "000:67":
		return shop.hasImage(ctx, "gentoo-"+time.Now().Format("20060102")+"-amd64", "qcow2", "")
	case "001:168":
		return errors.Join(prints("Added new image with ID: ", "openstack image create --disk-format aki"), shop.hasImage(ctx, "debian-squeeze-uec-x86_64-kernel", "aki", ""))
	case "001:173":
		return errors.Join(prints("Added new image with ID: ", "openstack image create --disk-format ari"), shop.hasImage(ctx, "debian-squeeze-uec-x86_64-initrd", "ari", ""))
	case "001:178":
		return errors.Join(prints("Added new image with ID: ", "--property kernel_id=644e59b8"), shop.hasImage(ctx, "debian-squeeze-uec-x86_64", "ami", "644e59b8-1503-403f-a4fe-746d4dac2ff8"))
	case "002:204":
		return prints("NAME", " on", "openstack hypervisor list")
	case "002:240":
		return prints("instance-name", "runn", "openstack server list")
	case "003:73":
		return errors.Join(prints("openstack server rescue --image ubuntu-9.10.iso"), shop.await(ctx, "/compute/v2.1/servers/"+shop.server, "server", "RESCUE"))
	case "003:79":
		return prints(":disk/0:/", "hearth explain server instance-name")
	case "004:88":
		var found struct {
			Volumes []struct {
				ID   string
				Size int
			}
		}
		if err := shop.Get(ctx, "/volume/v3/volumes/detail?sort=created_at:desc&name=mybootable-vol", &found); err != nil || len(found.Volumes) == 0 || found.Volumes[0].Size != 10 {
			return fmt.Errorf("no volume of 10 GiB: %v, %w", found, err)
		}
		if way != "" {
			if err := prints("openstack volume create --image"); err != nil {
				return err
			}
		}
		return shop.await(ctx, "/volume/v3/volumes/"+found.Volumes[0].ID, "volume", "available")
	}
	return errors.New("nobody wrote what it should bring about")
}

// hasImage wants an image that is active.
func (shop *seedShop) hasImage(ctx context.Context, name, format, kernel string) error {
	var found struct {
		Images []struct {
			Status string
			Format string `json:"disk_format"`
			Kernel string `json:"kernel_id"`
		}
	}
	err := shop.Get(ctx, "/image/v2/images?name="+url.QueryEscape(name), &found)
	if err != nil || len(found.Images) == 0 || found.Images[0].Status != "active" || found.Images[0].Format != format || found.Images[0].Kernel != kernel {
		return fmt.Errorf("the image %s is not as it should be: %+v, %w", name, found.Images, err)
	}
	return nil
}

// await asks until a thing has a status.
func (shop *seedShop) await(ctx context.Context, path, noun, status string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var thing map[string]struct{ Status string }
		if err := shop.Get(ctx, path, &thing); err != nil || thing[noun].Status == status {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %s, not %s", path, thing[noun].Status, status)
		case <-tick.C:
		}
	}
}
