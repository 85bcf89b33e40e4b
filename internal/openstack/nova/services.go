package nova

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// computeBinary is what nova calls the part of a host that runs guests: the only
// service there is a record of.
const computeBinary = "nova-compute"

// headBinaries are nova's names for what the head does itself. They are in the
// zone of nova's own services.
var headBinaries = []string{"nova-conductor", "nova-scheduler"}

const internalZone = "internal"

// headServices are the services of the head. It answers, so they are up.
func (a *api) headServices(r *wire.Request) (list []wire.M) {
	for _, binary := range headBinaries {
		m := wire.M{
			"id": madeID(r, binary, a.svc.Head(), a.svc.Head()), "binary": binary, "host": a.svc.Head(), "zone": internalZone, "status": "enabled",
			"state": "up", "updated_at": stampMicro(a.svc.Now()), "disabled_reason": nil,
		}
		if r.Version.AtLeast(11) {
			m["forced_down"] = false
		}
		list = append(list, m)
	}
	return list
}

// serviceID is the id of a host's service in a microversion: a UUID made of the
// host's own from 2.53 on, a number before.
func serviceID(r *wire.Request, h cloud.Host) any { return madeID(r, computeBinary, h.Name, h.ID) }

// madeID makes an id of a service's name and of its host's name and id.
func madeID(r *wire.Request, binary, host, id string) any {
	if !r.Version.AtLeast(53) {
		return number32(binary + "/" + host)
	}
	sum := sha256.Sum256([]byte(binary + "/" + id))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8
	s := hex.EncodeToString(sum[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func serviceView(r *wire.Request, h cloud.Host, up bool) wire.M {
	m := wire.M{
		"id": serviceID(r, h), "binary": computeBinary, "host": h.Name, "zone": h.AvailabilityZone, "status": onOff(h),
		"state": upDown(up), "updated_at": seenAt(h.SeenAt), "disabled_reason": orNull(h.DisabledReason),
	}
	if r.Version.AtLeast(11) {
		m["forced_down"] = h.ForcedDown
	}
	return m
}

func seenAt(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stampMicro(t)
}

func (a *api) listServices(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context())
	if err := wire.First(err, strict(r, "host", "binary")); err != nil {
		return nil, err
	}
	q := r.URL.Query()
	list := a.headServices(r)
	for _, h := range hosts {
		list = append(list, serviceView(r, h.Host, h.Up))
	}
	list = slices.DeleteFunc(list, func(m wire.M) bool {
		host, binary := q.Get("host"), q.Get("binary")
		return host != "" && host != m["host"] || binary != "" && binary != m["binary"]
	})
	return wire.JSON(wire.M{"services": list}), nil
}

// switchService is the way of before 2.53: PUT os-services/disable and its kin.
func (a *api) switchService(r *wire.Request) (*wire.Response, error) {
	const op = "nova.switchService"
	var in struct {
		Host, Binary   string
		DisabledReason *string    `json:"disabled_reason"`
		ForcedDown     *wire.Bool `json:"forced_down"`
	}
	if err := a.schemas.decode(r, "services.json#/update", &in); err != nil {
		return nil, err
	}
	action := r.PathValue("id")
	reply := wire.M{"host": in.Host, "binary": in.Binary}
	enabled := action == "enable"
	change := compute.HostChange{Enabled: &enabled}
	switch {
	case action == "force-down" && r.Version.AtLeast(11):
		if in.ForcedDown == nil {
			return nil, cloud.E(op, cloud.Invalid, "Missing forced_down field")
		}
		reply["forced_down"] = bool(*in.ForcedDown)
		change = compute.HostChange{ForcedDown: (*bool)(in.ForcedDown)}
	case action == "enable":
		reply["status"] = "enabled"
	case action == "disable-log-reason" && in.DisabledReason == nil:
		return nil, cloud.E(op, cloud.Invalid, "Missing disabled reason field")
	case action == "disable-log-reason":
		change.Reason = *in.DisabledReason
		reply["status"], reply["disabled_reason"] = "disabled", change.Reason
	case action == "disable":
		reply["status"] = "disabled"
	default:
		return nil, cloud.E(op, cloud.NotFound, "Unknown action")
	}
	if in.Binary != computeBinary {
		return nil, cloud.E(op, cloud.Invalid, "Updating a %s service is not supported. Only nova-compute services can be updated.", in.Binary)
	}
	_, err := a.svc.ChangeHost(r.Context(), in.Host, change)
	return wire.JSON(wire.M{"service": reply}), err
}

// updateService is the way of 2.53 and later: PUT os-services/{id}.
func (a *api) updateService(r *wire.Request) (*wire.Response, error) {
	const op = "nova.updateService"
	id := r.PathValue("id")
	if !cloud.IsID(id) {
		return nil, cloud.E(op, cloud.Invalid, "Invalid uuid %s", id)
	}
	var in struct {
		Status     string
		Reason     string     `json:"disabled_reason"`
		ForcedDown *wire.Bool `json:"forced_down"`
	}
	if err := a.schemas.decode(r, "services.json#/update253", &in); err != nil {
		return nil, err
	}
	h, err := a.hostOfService(r, id)
	switch {
	case err != nil:
		return nil, err
	case in.Status == "" && in.ForcedDown == nil:
		return nil, cloud.E(op, cloud.Invalid, "No updates were requested. Fields 'status' or 'forced_down' should be specified.")
	case in.Status == "enabled" && in.Reason != "":
		return nil, cloud.E(op, cloud.Invalid, "Specifying 'disabled_reason' with status 'enabled' is invalid.")
	}
	change := compute.HostChange{Reason: in.Reason, ForcedDown: (*bool)(in.ForcedDown)}
	if in.Status != "" {
		enabled := in.Status == "enabled"
		change.Enabled = &enabled
	}
	if _, err := a.svc.ChangeHost(r.Context(), h.Name, change); err != nil {
		return nil, err
	}
	if h, err = a.hostOfService(r, id); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"service": serviceView(r, h.Host, h.Up)}), nil
}

// deleteService forgets a host that is out of use.
func (a *api) deleteService(r *wire.Request) (*wire.Response, error) {
	const op = "nova.deleteService"
	id := r.PathValue("id")
	if r.Version.AtLeast(53) && !cloud.IsID(id) {
		return nil, cloud.E(op, cloud.Invalid, "Invalid uuid %s", id)
	}
	if _, err := strconv.Atoi(id); err != nil && !r.Version.AtLeast(53) {
		return nil, cloud.E(op, cloud.Invalid, "Invalid input received: id must be an integer, not %s", id)
	}
	h, err := a.hostOfService(r, id)
	if err != nil {
		return nil, err
	}
	return wire.NoContent(), a.svc.DeleteHost(r.Context(), h.Name)
}

// hostOfService finds the host of a service's id.
func (a *api) hostOfService(r *wire.Request, id string) (compute.HostDetail, error) {
	for _, m := range a.headServices(r) {
		if numberOrText(m["id"]) == id {
			return compute.HostDetail{}, cloud.E("nova.updateService", cloud.Invalid, "Updating a %s service is not supported. Only nova-compute services can be updated.", m["binary"])
		}
	}
	hosts, err := a.svc.Hosts(r.Context())
	for _, h := range hosts {
		if numberOrText(serviceID(r, h.Host)) == id {
			return h, err
		}
	}
	if err == nil {
		err = cloud.E("nova.updateService", cloud.NotFound, "Service %s could not be found.", id)
	}
	return compute.HostDetail{}, err
}
