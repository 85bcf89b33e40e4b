package main

import (
	"fmt"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"hearth/internal/disk"
)

func oldNova() oldTool {
	return oldTool{name: "nova", about: "Answer to the nova command", verbs: []oldVerb{
		{name: "boot", takes: "--flavor FLAVOR --image IMAGE [--key-name KEY] [--security-groups GROUPS] [--user-data FILE] [--nic net-id=ID] NAME", do: novaBoot},
		{name: "list", do: novaList},
		{name: "show", takes: "SERVER", do: func(o *oldCall) ([]string, error) {
			return o.showOf(openstack.NewComputeV2, "server", "servers", "server")
		}},
		{name: "delete", takes: "SERVER", do: serverDelete},
		serverAct("start", "start", map[string]any{"os-start": nil}),
		serverAct("stop", "stop", map[string]any{"os-stop": nil}),
		serverAct("reboot", "reboot", map[string]any{"reboot": map[string]any{"type": "SOFT"}}),
	}}
}

// novaBoot is 'nova boot'.
func novaBoot(o *oldCall) ([]string, error) {
	line, err := parseOld(o.args, []string{"flavor", "image", "key-name", "security-groups", "user-data", "meta", "nic", "availability-zone"}, []string{"poll"})
	if err != nil {
		return nil, err
	}
	name, err := line.one("server")
	if err != nil {
		return nil, err
	}
	nova, err := o.service(openstack.NewComputeV2)
	if err != nil {
		return nil, err
	}
	glance, err := o.service(openstack.NewImageV2)
	if err != nil {
		return nil, err
	}
	want := map[string]any{"name": name, "networks": "auto"}
	today := []string{"openstack", "server", "create", "--flavor", line.first("flavor"), "--image", line.first("image")}
	if want["flavorRef"], err = o.flavorOf(nova, line.first("flavor")); err != nil {
		return nil, err
	}
	if want["imageRef"], err = o.idOf(glance, "image", "images", line.first("image")); err != nil {
		return nil, err
	}
	more, err := novaOptions(line, want)
	if err != nil {
		return nil, err
	}
	nova.Microversion = "2.37" // the first that knows networks "auto"
	var made struct{ Server struct{ ID string } }
	if _, err := nova.Post(o.ctx, nova.ServiceURL("servers"), map[string]any{"server": want}, &made, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}}); err != nil { //nolint:bodyclose // read into made and closed
		return nil, refusal(err)
	}
	box(o.out, [][2]string{{"id", made.Server.ID}, {"name", name}})
	return append(append(today, more...), name), nil
}

// novaOptions lays the other options into a server that is wanted.
func novaOptions(line oldLine, want map[string]any) (today []string, err error) {
	for option, key := range map[string]string{"key-name": "key_name", "availability-zone": "availability_zone"} {
		if v := line.first(option); v != "" {
			want[key], today = v, append(today, "--"+option, v)
		}
	}
	if v := line.first("security-groups"); v != "" {
		var groups []map[string]string
		for _, g := range commas(v) {
			groups = append(groups, map[string]string{"name": g})
			today = append(today, "--security-group", g)
		}
		want["security_groups"] = groups
	}
	if file := line.first("user-data"); file != "" {
		body, err := disk.ReadText(file, 1<<20)
		if err != nil {
			return nil, err
		}
		want["user_data"], today = body, append(today, "--user-data", file) // bytes are base64 in JSON, as nova wants them
	}
	var nets []map[string]string
	for _, nic := range line.options["nic"] {
		fields, err := pairs(commas(nic))
		if err != nil {
			return nil, err
		}
		for _, f := range fields {
			key, ok := map[string]string{"net-id": "uuid", "port-id": "port"}[f[0]]
			if !ok {
				return nil, fmt.Errorf("--nic %s: name net-id or port-id", nic)
			}
			nets, today = append(nets, map[string]string{key: f[1]}), append(today, "--nic", nic)
		}
	}
	if nets != nil {
		want["networks"] = nets
	}
	meta, err := pairs(line.options["meta"])
	for _, p := range meta {
		all, _ := want["metadata"].(map[string]string)
		if all == nil {
			all = map[string]string{}
			want["metadata"] = all
		}
		all[p[0]], today = p[1], append(today, "--property", p[0]+"="+p[1])
	}
	return today, err
}

// flavorOf finds a flavor by its id or its name.
func (o *oldCall) flavorOf(nova *gophercloud.ServiceClient, word string) (string, error) {
	var list struct{ Flavors []struct{ ID, Name string } }
	if _, err := nova.Get(o.ctx, nova.ServiceURL("flavors"), &list, nil); err != nil { //nolint:bodyclose // read into list and closed
		return "", refusal(err)
	}
	for _, f := range list.Flavors {
		if f.Name == word || f.ID == word {
			return f.ID, nil
		}
	}
	return "", fmt.Errorf("there is no flavor %q: 'openstack flavor list' shows what there is", word)
}

func novaList(o *oldCall) ([]string, error) {
	all, err := o.servers()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{s.ID, s.Name, s.Status, fmt.Sprint(addresses(s))})
	}
	return []string{"openstack", "server", "list"}, columns(o.out, "ID Name Status Networks", rows)
}

func (o *oldCall) servers() ([]servers.Server, error) {
	nova, err := o.service(openstack.NewComputeV2)
	if err != nil {
		return nil, err
	}
	pages, err := servers.List(nova, servers.ListOpts{}).AllPages(o.ctx)
	if err != nil {
		return nil, refusal(err)
	}
	return servers.ExtractServers(pages)
}

// addresses of a server, on all its networks.
func addresses(s servers.Server) (out []string) {
	for _, net := range s.Addresses {
		list, _ := net.([]any)
		for _, a := range list {
			if m, ok := a.(map[string]any); ok {
				out = append(out, fmt.Sprint(m["addr"]))
			}
		}
	}
	return out
}

// serverAct is a verb that is one action of a server.
func serverAct(old, today string, body map[string]any) oldVerb {
	return oldVerb{name: old, takes: "SERVER", do: func(o *oldCall) ([]string, error) {
		return []string{"openstack", "server", today, o.args[len(o.args)-1]}, o.act(body)
	}}
}

// act sends an action to the server that the line names.
func (o *oldCall) act(body map[string]any) error {
	nova, id, err := o.named(openstack.NewComputeV2, "server", "servers")
	if err != nil {
		return err
	}
	_, err = nova.Post(o.ctx, nova.ServiceURL("servers", id, "action"), body, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusAccepted}}) //nolint:bodyclose // a body that nobody asked for is drained and closed
	return refusal(err)
}

func serverDelete(o *oldCall) ([]string, error) {
	return o.deleteOf(openstack.NewComputeV2, "server", "servers")
}
