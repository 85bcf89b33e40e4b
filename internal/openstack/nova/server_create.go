package nova

import (
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// createBody is the body of a create, as its schema lets it through.
type createBody struct {
	Server struct {
		Name, Hostname, Host   string
		ImageRef               *string
		AdminPass              string
		FlavorRef              json.RawMessage
		Description            *string
		KeyName                string          `json:"key_name"`
		UserData               string          `json:"user_data"`
		Zone                   string          `json:"availability_zone"`
		Hypervisor             string          `json:"hypervisor_hostname"`
		ConfigDrive            wire.Bool       `json:"config_drive"`
		DiskConfig             string          `json:"OS-DCF:diskConfig"`
		MinCount               *wire.Int       `json:"min_count"`
		MaxCount               *wire.Int       `json:"max_count"`
		ReturnReservation      wire.Bool       `json:"return_reservation_id"`
		Groups                 []groupName     `json:"security_groups"`
		Networks               json.RawMessage `json:"networks"`
		Legacy                 []deviceBody    `json:"block_device_mapping"`
		Devices                []deviceBody    `json:"block_device_mapping_v2"`
		Personality            []fileBody      `json:"personality"`
		Certs                  []string        `json:"trusted_image_certificates"`
		AccessIPv4, AccessIPv6 string
		Metadata               map[string]string
		Tags                   []string
	}
	Hints   map[string]any `json:"os:scheduler_hints"`
	OldHint map[string]any `json:"OS-SCH-HNT:scheduler_hints"`
}

func (a *api) createServer(r *wire.Request) (*wire.Response, error) {
	var in createBody
	if err := a.schemas.decode(r, "servers.json#/create", &in); err != nil {
		return nil, err
	}
	req, err := in.request(r)
	if err != nil {
		return nil, err
	}
	made, err := a.svc.Create(r.Context(), actor(r), req)
	if err != nil {
		return nil, err
	}
	if in.Server.ReturnReservation {
		return wire.Accepted(wire.M{"reservation_id": made.ReservationID}), nil
	}
	s := made.Servers[0]
	groups := in.Server.Groups
	if groups == nil {
		groups = []groupName{{"default"}}
	}
	password := in.Server.AdminPass
	if password == "" {
		password = rand.Text()[:12] // said once and kept nowhere
	}
	return acceptedAt(r, "/servers/"+s.ID, wire.M{"server": wire.M{
		"id": s.ID, "links": linksTo(r, "/servers/"+s.ID), "OS-DCF:diskConfig": s.DiskConfig, "security_groups": groups, "adminPass": password,
	}}), nil
}

// request turns the body into what the service takes.
func (in *createBody) request(r *wire.Request) (req compute.CreateRequest, err error) {
	const op = "nova.createServer"
	v := &in.Server
	switch {
	case len(v.Certs) > 0:
		return req, cloud.E(op, cloud.Invalid, "trusted_image_certificates is not implemented: signatures of images are not verified here")
	case len(v.Legacy) > 0 && len(v.Devices) > 0:
		return req, cloud.E(op, cloud.Invalid, "Using different block_device_mapping syntaxes is not allowed in the same request.")
	}
	req = compute.CreateRequest{
		Name: strings.TrimSpace(v.Name), Hostname: v.Hostname, FlavorID: unquoted(v.FlavorRef), KeyName: v.KeyName,
		Metadata: v.Metadata, Tags: v.Tags, AvailabilityZone: v.Zone, Host: v.Host, Min: 1,
		ConfigDrive: bool(v.ConfigDrive), DiskConfig: v.DiskConfig, AccessIPv4: canonical(v.AccessIPv4), AccessIPv6: canonical(v.AccessIPv6),
	}
	if req.Description = req.Name; r.Version.AtLeast(19) {
		req.Description = ""
	}
	if v.Description != nil {
		req.Description = *v.Description
	}
	if v.Hypervisor != "" {
		if v.Host != "" && v.Host != v.Hypervisor {
			return req, cloud.E(op, cloud.Invalid, "Compute host %s could not be found.", v.Hypervisor)
		}
		req.Host = v.Hypervisor
	}
	if v.MinCount != nil {
		req.Min = int(*v.MinCount)
	}
	if req.Max = req.Min; v.MaxCount != nil {
		req.Max = int(*v.MaxCount)
	}
	for _, g := range v.Groups {
		if g.Name != "" {
			req.SecurityGroups = append(req.SecurityGroups, g.Name)
		}
	}
	if req.UserData, err = decode64(v.UserData); err != nil {
		return req, cloud.E(op, cloud.Invalid, "User data needs to be valid base 64.")
	}
	if req.Files, err = filesOf(op, v.Personality); err != nil {
		return req, err
	}
	req.Hints = hintsOf(in.Hints, in.OldHint)
	if v.ImageRef != nil {
		req.ImageID, req.ImageNamed = *v.ImageRef, true
	}
	req.Multiattach = r.Version.AtLeast(60)
	if len(v.Legacy) > 0 {
		req.Devices, err = legacyDevices(v.Legacy, req.ImageID)
	} else {
		req.Devices, err = devicesOf(v.Devices)
	}
	if err != nil {
		return req, err
	}
	req.Networks, err = networksOf(v.Networks)
	return req, err
}

// canonical writes an address in its shortest form (RFC 5952).
func canonical(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.String()
	}
	return text
}

// hintsOf reads scheduler hints, of which each is a text or a list of texts.
func hintsOf(all ...map[string]any) map[string][]string {
	for _, hints := range all {
		if len(hints) == 0 {
			continue
		}
		out := map[string][]string{}
		for name, v := range hints {
			switch v := v.(type) {
			case string:
				out[name] = []string{v}
			case []any:
				for _, e := range v {
					if s, ok := e.(string); ok {
						out[name] = append(out[name], s)
					}
				}
			}
		}
		return out
	}
	return nil
}

// networksOf reads "auto", "none" or a list.
func networksOf(raw json.RawMessage) (n compute.Networks, err error) {
	if len(raw) == 0 {
		return n, nil
	}
	if json.Unmarshal(raw, &n.Mode) == nil {
		return n, nil
	}
	var list []struct {
		UUID, Port, Tag string
		FixedIP         string `json:"fixed_ip"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return n, cloud.E("nova.createServer", cloud.Invalid, "Bad networks format")
	}
	for _, v := range list {
		ask := compute.NetworkAsk{NetworkID: v.UUID, PortID: v.Port, Tag: v.Tag}
		if v.Port == "" && v.UUID != "" && !cloud.IsID(v.UUID) {
			return n, cloud.E("nova.createServer", cloud.Invalid, "Bad networks format: network uuid is not in proper format (%s)", v.UUID)
		}
		if v.FixedIP != "" {
			if ask.FixedIP, err = netip.ParseAddr(v.FixedIP); err != nil {
				return n, cloud.E("nova.createServer", cloud.Invalid, "Invalid fixed IP address (%s)", v.FixedIP)
			}
		}
		n.List = append(n.List, ask)
	}
	return n, nil
}
