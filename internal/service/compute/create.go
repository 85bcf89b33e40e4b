package compute

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// CreateRequest is what an owner asks for: one server, or several alike.
type CreateRequest struct {
	Name, Hostname, Description string // Hostname "" is made of the name
	ImageID, FlavorID, KeyName  string
	UserData                    []byte
	Files                       []cloud.GuestFile // the config drive brings them, so one is made
	Metadata                    map[string]string
	Tags                        []string
	Networks                    Networks
	SecurityGroups              []string // names or ids; none is the project's default group
	AvailabilityZone            string   // "" any; "zone", and for admins "zone:host" or "zone:host:node"
	Host                        string   // an admin's wish of a host; "" any
	Min, Max                    int      // how many; as many as the quota has room for
	ConfigDrive                 bool
	DiskConfig                  string // AUTO, MANUAL or "" for what the image says
	AccessIPv4, AccessIPv6      string
	Hints                       map[string][]string
	Devices                     []BlockDevice
	ImageNamed                  bool // the request has an imageRef, be it empty
	Multiattach                 bool // the client knows of volumes with several servers
}

// Created is what a request made.
type Created struct {
	Servers       []cloud.Server
	ReservationID string
}

// Create checks a request and writes down what is wanted: servers, ports and
// history in one transaction with the quota. Placing and starting them is the
// housekeeper's.
func (s *Service) Create(ctx context.Context, a Actor, r CreateRequest) (Created, error) {
	const op = "compute.Create"
	var made Created
	if err := r.check(op); err != nil {
		return made, err
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		made = Created{ReservationID: reservationID()}
		template, disks, err := s.template(tx, op, a, r)
		if err != nil {
			return err
		}
		template.ReservationID = made.ReservationID
		plugs, err := s.plugs(tx, op, a.Caller, r)
		if err != nil {
			return err
		}
		n, err := admitTx(tx, op, a.Caller, template.Flavor, r.Min, r.Max)
		if err != nil {
			return err
		}
		if err := checkHints(tx, op, a.Caller, r.Hints, n); err != nil {
			return err
		}
		for i := range n {
			server, err := s.insert(tx, op, a, template, plugs, disks, i, n)
			if err != nil {
				return err
			}
			made.Servers = append(made.Servers, server)
		}
		return nil
	})
	return made, err
}

// check refuses what cannot be meant, whatever the cloud has.
func (r CreateRequest) check(op string) error {
	switch {
	case r.Min > r.Max:
		return cloud.E(op, cloud.Invalid, "min_count must be <= max_count")
	case r.Max > 1 && r.Hostname != "":
		return cloud.E(op, cloud.Invalid, "Unable to allocate a single hostname to multiple instances")
	case len(r.Tags) > maxTags:
		return cloud.E(op, cloud.Invalid, "The number of tags exceeded the per-server limit %d", maxTags)
	}
	return r.Networks.check(op, r.Max)
}

// template is the server that all servers of a request are like.
func (s *Service) template(tx *store.Tx, op string, a Actor, r CreateRequest) (v cloud.Server, disks []BlockDevice, err error) {
	now := s.clock.Now()
	v = cloud.Server{
		Name: r.Name, Hostname: r.Hostname, Description: r.Description, ProjectID: a.ProjectID, UserID: a.UserID,
		UserData: r.UserData, Files: r.Files, Metadata: r.Metadata, Tags: unique(r.Tags), ConfigDrive: r.ConfigDrive || len(r.Files) > 0,
		DiskConfig: r.DiskConfig, AccessIPv4: r.AccessIPv4, AccessIPv6: r.AccessIPv6, SchedulerHints: r.Hints,
		Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn}, CreatedAt: now, UpdatedAt: now, NextAttemptAt: now,
	}
	if v.Flavor, err = flavorTx(tx, op, a.Caller, r.FlavorID); err != nil {
		return v, nil, asInvalid(op, err)
	}
	if v.Flavor.Disabled {
		return v, nil, asInvalid(op, noFlavor(op, r.FlavorID))
	}
	if disks, err = s.useDevices(tx, op, a.Caller, r, &v); err != nil {
		return v, nil, err
	}
	if err := deployBy(tx, op, &v); err != nil {
		return v, nil, err
	}
	if v.AvailabilityZone, v.ForcedHost, err = destination(tx, op, a.Caller, r); err != nil {
		return v, nil, err
	}
	if r.KeyName != "" {
		key, err := tx.Keypairs.Get(cloud.Keypair{UserID: a.UserID, Name: r.KeyName}.Key())
		if cloud.Is(err, cloud.NotFound) {
			return v, nil, cloud.E(op, cloud.Invalid, "Invalid key_name provided.")
		}
		if err != nil {
			return v, nil, err
		}
		v.Key = &key
	}
	if err := filesFit(tx, op, a.ProjectID, r.Files); err != nil {
		return v, disks, err
	}
	return v, disks, metadataFits(tx, op, a.ProjectID, r.Metadata)
}

// insert writes the i-th of n servers down, with its ports, its volumes and the
// first entry of its history.
func (s *Service) insert(tx *store.Tx, op string, a Actor, v cloud.Server, plugs []plug, disks []BlockDevice, i, n int) (cloud.Server, error) {
	v.ID, v.LaunchIndex = cloud.NewID(), i
	if n > 1 {
		v.Name = fmt.Sprintf("%s-%d", v.Name, i+1)
	}
	if v.Hostname == "" {
		v.Hostname = sanitizeHostname(v.Name, "server-"+v.ID)
	}
	if err := s.plugIn(tx, op, a.Caller, &v, plugs); err != nil {
		return v, err
	}
	if err := s.fill(tx, op, a.Caller, v, disks); err != nil {
		return v, err
	}
	if err := tx.Servers.Insert(v); err != nil {
		return v, err
	}
	return v, s.recordTx(tx, a, v, "create")
}

// destination reads where a server may go. Naming a host is the operator's.
func destination(tx *store.Tx, op string, c cloud.Caller, r CreateRequest) (zone, host string, err error) {
	parts := strings.Split(r.AvailabilityZone, ":")
	if len(parts) > 3 {
		return "", "", cloud.E(op, cloud.Invalid, "Unable to parse availability_zone")
	}
	zone = parts[0]
	for _, name := range parts[1:] {
		switch {
		case name == "":
		case host != "" && host != name: // here a host is its one node
			return "", "", cloud.E(op, cloud.Invalid, "Compute host %s could not be found.", name)
		default:
			host = name
		}
	}
	if host != "" && r.Host != "" {
		return "", "", cloud.E(op, cloud.Invalid, "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually exclusive.")
	}
	forced := host != ""
	if host == "" {
		host = r.Host
	}
	if host != "" && !c.IsAdmin() {
		return "", "", cloud.E(op, cloud.Forbidden, "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.")
	}
	if host != "" {
		if _, err := tx.Hosts.Get(host); err != nil {
			return "", "", asInvalid(op, NoHost(op, host))
		}
	}
	if forced {
		return "", host, nil // the host has its own zone
	}
	return zone, host, zoneExists(tx, op, zone)
}

// zoneExists refuses a zone that no host is in. The default zone is always
// there: hosts may yet join.
func zoneExists(tx *store.Tx, op, zone string) error {
	if zone == "" || zone == DefaultZone {
		return nil
	}
	hosts, err := placement.HostsTx(tx)
	if err == nil && !slices.ContainsFunc(hosts, func(h cloud.Host) bool { return h.AvailabilityZone == zone }) {
		err = cloud.E(op, cloud.Invalid, "The requested availability zone is not available")
	}
	return err
}

// asInvalid is for what a request refers to: that it is not there makes the
// request wrong, not the address that it was sent to.
func asInvalid(op string, err error) error {
	if cloud.Is(err, cloud.NotFound) {
		return cloud.E(op, cloud.Invalid, "%s", cloud.Message(err))
	}
	return err
}

// reservationID makes an id of a request in nova's form: "r-" and 8 letters.
func reservationID() string {
	return "r-" + strings.ToLower(rand.Text()[:8])
}
