package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"hearth/internal/disk"
	"hearth/internal/service/operate"
)

func oldGanetiInstance() oldTool {
	stop := map[string]any{"os-stop": nil}
	return oldTool{name: "gnt-instance", about: "Answer to Ganeti's command for instances", verbs: []oldVerb{
		{name: "start", takes: "[-H cdrom_image_path=FILE,boot_order=cdrom] INSTANCE", do: gntStart},
		{name: "startup", takes: "[-H …] INSTANCE", do: gntStart},
		serverAct("shutdown", "stop", stop), serverAct("stop", "stop", stop),
		serverAct("reboot", "reboot", map[string]any{"reboot": map[string]any{"type": "HARD"}}),
		{name: "list", do: novaList},
		{name: "info", takes: "INSTANCE", do: func(o *oldCall) ([]string, error) {
			return o.showOf(openstack.NewComputeV2, "server", "servers", "server")
		}},
		{name: "remove", takes: "INSTANCE", do: serverDelete},
		{name: "activate-disks", takes: "INSTANCE", do: gntDisks},
		say("deactivate-disks", "INSTANCE", "hearth", "explain", "server", "INSTANCE"),
		say("add", "…", "openstack", "server", "create", "--image", "IMAGE", "--flavor", "FLAVOR", "INSTANCE"),
		say("console", "INSTANCE", "openstack", "console", "url", "show", "--serial", "INSTANCE"),
	}}
}

// gntStart is 'gnt-instance start', from its disk, or with hypervisor parameters
// from a CD: a rescue by an image of the format iso, whose end is 'openstack
// server unrescue'.
func gntStart(o *oldCall) ([]string, error) {
	line, err := parseOld(o.args, []string{"H", "hypervisor-parameters"}, []string{"force", "no-remember"})
	if err != nil {
		return nil, err
	}
	name, err := line.one("instance")
	if err != nil {
		return nil, err
	}
	o.args = []string{name}
	parameters, err := pairs(commas(line.first("H", "hypervisor-parameters")))
	if err != nil {
		return nil, err
	}
	iso := ""
	for _, p := range parameters {
		switch {
		case p[0] == "cdrom_image_path":
			iso = p[1]
		case p[0] == "boot_order" && p[1] == "cdrom", p[0] == "boot_order" && p[1] == "disk":
		default:
			return nil, fmt.Errorf("the hypervisor's parameter %s=%s is not known here: properties of images (hw_…) say such things today", p[0], p[1])
		}
	}
	if iso == "" {
		return []string{"openstack", "server", "start", name}, o.act(map[string]any{"os-start": nil})
	}
	return o.fromCD(name, iso)
}

// fromCD starts a server from a file of a CD.
func (o *oldCall) fromCD(name, iso string) ([]string, error) {
	called := filepath.Base(iso)
	today := []string{"openstack", "server", "rescue", "--image", called, name}
	if _, _, err := o.named(openstack.NewComputeV2, "server", "servers"); err != nil {
		return nil, err
	}
	glance, err := o.service(openstack.NewImageV2)
	if err != nil {
		return nil, err
	}
	file, err := disk.Open(iso)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	properties := map[string]string{"hw_rescue_device": "cdrom", "hw_rescue_bus": "sata"}
	made, err := images.Create(o.ctx, glance, images.CreateOpts{Name: called, DiskFormat: "iso", ContainerFormat: "bare", Properties: properties}).Extract()
	if err != nil {
		return nil, refusal(err)
	}
	if err := imagedata.Upload(o.ctx, glance, made.ID, file).ExtractErr(); err != nil {
		_ = images.Delete(o.ctx, glance, made.ID)
		return nil, refusal(err)
	}
	fmt.Fprintf(o.progress, "today: %s\n", command([]string{"openstack", "image", "create", "--disk-format", "iso", "--property", "hw_rescue_device=cdrom", "--property", "hw_rescue_bus=sata", "--file", iso, called}))
	return today, o.act(map[string]any{"rescue": map[string]any{"rescue_image_ref": made.ID}})
}

// gntDisks is 'gnt-instance activate-disks': it tells where the disks of an
// instance are, which need no activation; reading them is safe while it is off.
func gntDisks(o *oldCall) ([]string, error) {
	line, err := parseOld(o.args, nil, []string{"ignore-size"})
	if err != nil {
		return nil, err
	}
	name, err := line.one("instance")
	if err != nil {
		return nil, err
	}
	var answer struct{ Explanation operate.Explanation }
	if err := ask(o.ctx, o.cfg, "/explain/server/"+url.PathEscape(name), &answer); err != nil {
		return nil, err
	}
	node, n := "", 0
	for _, f := range answer.Explanation.Facts {
		if f.Topic == "node" {
			node = strings.Fields(f.Value + " ?")[0]
		}
	}
	for _, f := range answer.Explanation.Facts {
		if what, _, _ := strings.Cut(f.Topic, " "); what == "disk" || what == "volume" {
			fmt.Fprintf(o.out, "%s:disk/%d:%s\n", node, n, strings.Fields(f.Value + " ?")[0])
			n++
		}
	}
	today := []string{"hearth", "explain", "server", name}
	if n == 0 {
		return today, fmt.Errorf("no node has disks of %s", name)
	}
	return today, nil
}

// commas cuts a list; an empty one has no parts, nor has it empty parts.
func commas(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
