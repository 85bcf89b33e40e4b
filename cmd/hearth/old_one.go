package main

import (
	"strconv"

	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/schedulerstats"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/hypervisors"
)

func oldHost() oldTool {
	return oldTool{name: "onehost", about: "Answer to OpenNebula's command for hosts", verbs: []oldVerb{
		{name: "list", do: hostList},
		say("create", "HOST …", "hearth", "up"),
		say("show", "HOST", "openstack", "hypervisor", "show", "HOST"),
		say("disable", "HOST", "openstack", "compute", "service", "set", "--disable", "HOST", "nova-compute"),
		say("enable", "HOST", "openstack", "compute", "service", "set", "--enable", "HOST", "nova-compute"),
	}}
}

func oldVM() oldTool {
	stop := map[string]any{"os-stop": nil}
	return oldTool{name: "onevm", about: "Answer to OpenNebula's command for virtual machines", verbs: []oldVerb{
		{name: "list", do: vmList},
		{name: "show", takes: "VM", do: func(o *oldCall) ([]string, error) {
			return o.showOf(openstack.NewComputeV2, "server", "servers", "server")
		}},
		serverAct("poweroff", "stop", stop), serverAct("stop", "stop", stop),
		serverAct("resume", "start", map[string]any{"os-start": nil}),
		{name: "shutdown", takes: "VM", do: serverDelete}, {name: "delete", takes: "VM", do: serverDelete}, {name: "terminate", takes: "VM", do: serverDelete},
		say("create", "TEMPLATE", "hearth", "import", "opennebula", "TEMPLATES…"),
		say("livemigrate", "VM HOST", "openstack", "server", "migrate", "--live-migration", "VM"),
	}}
}

func oldImage() oldTool {
	return oldTool{name: "oneimage", about: "Answer to OpenNebula's command for images", verbs: []oldVerb{
		{name: "list", do: glanceList}, {name: "show", takes: "IMAGE", do: glanceShow}, {name: "delete", takes: "IMAGE", do: glanceDelete},
		say("create", "TEMPLATE -d DATASTORE", "hearth", "import", "opennebula", "TEMPLATES…"),
	}}
}

func oldDatastore() oldTool {
	return oldTool{name: "onedatastore", about: "Answer to OpenNebula's command for datastores", verbs: []oldVerb{
		{name: "list", do: datastoreList},
		say("create", "TEMPLATE", "openstack", "volume", "type", "create", "--property", "volume_backend_name=BACKEND", "NAME"),
	}}
}

func hostList(o *oldCall) ([]string, error) {
	nova, err := o.service(openstack.NewComputeV2)
	if err != nil {
		return nil, err
	}
	pages, err := hypervisors.List(nova, nil).AllPages(o.ctx)
	if err != nil {
		return nil, refusal(err)
	}
	all, err := hypervisors.ExtractHypervisors(pages)
	var rows [][]string
	for _, h := range all {
		stat := map[string]string{"up": "on", "down": "err"}[h.State]
		if h.Status == "disabled" {
			stat = "off"
		}
		rows = append(rows, []string{h.ID, h.HypervisorHostname, strconv.Itoa(h.RunningVMs), strconv.Itoa(h.VCPUsUsed) + "/" + strconv.Itoa(h.VCPUs), strconv.Itoa(h.MemoryMBUsed) + "M/" + strconv.Itoa(h.MemoryMB) + "M", stat})
	}
	if err != nil {
		return nil, err
	}
	return []string{"openstack", "hypervisor", "list", "--long"}, columns(o.out, "ID NAME RVM CPU MEM STAT", rows)
}

// vmList shows states by OpenNebula's words, and where guests are, where one may
// know.
func vmList(o *oldCall) ([]string, error) {
	all, err := o.servers()
	if err != nil {
		return nil, err
	}
	words := map[string]string{"ACTIVE": "runn", "SHUTOFF": "poff", "BUILD": "prol", "PAUSED": "unkn", "SUSPENDED": "susp", "ERROR": "fail", "SHELVED_OFFLOADED": "unde", "DELETED": "done"}
	var rows [][]string
	for _, s := range all {
		stat := words[s.Status]
		if stat == "" {
			stat = s.Status
		}
		rows = append(rows, []string{s.ID, s.UserID, s.Name, stat, s.HypervisorHostname, s.Created.Format("01/02 15:04")})
	}
	return []string{"openstack", "server", "list", "--long"}, columns(o.out, "ID USER NAME STAT HOST TIME", rows)
}

func datastoreList(o *oldCall) ([]string, error) {
	cinder, err := o.service(openstack.NewBlockStorageV3)
	if err != nil {
		return nil, err
	}
	pages, err := schedulerstats.List(cinder, schedulerstats.ListOpts{Detail: true}).AllPages(o.ctx)
	if err != nil {
		return nil, refusal(err)
	}
	all, err := schedulerstats.ExtractStoragePools(pages)
	var rows [][]string
	for _, p := range all {
		gib := func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) + "G" }
		rows = append(rows, []string{p.Name, gib(p.Capabilities.TotalCapacityGB), gib(p.Capabilities.FreeCapacityGB), p.Capabilities.StorageProtocol})
	}
	if err != nil {
		return nil, err
	}
	return []string{"openstack", "volume", "backend", "pool", "list", "--long"}, columns(o.out, "NAME SIZE AVAIL TM", rows)
}
