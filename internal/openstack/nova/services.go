package nova

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// computeBinary is what nova calls the part of a host that runs guests: the only
// service there is a record of.
const computeBinary = "nova-compute"

// serviceID is the id of a host's service in a microversion: a UUID made of the
// host's own from 2.53 on, a number before.
func serviceID(r *wire.Request, h cloud.Host) any {
	if !r.Version.AtLeast(53) {
		return number32(computeBinary + "/" + h.Name)
	}
	sum := sha256.Sum256([]byte(computeBinary + "/" + h.ID))
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
		m["forced_down"] = false
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
	list := []wire.M{}
	for _, h := range hosts {
		if host := q.Get("host"); host != "" && host != h.Name {
			continue
		}
		if binary := q.Get("binary"); binary != "" && binary != computeBinary {
			continue
		}
		list = append(list, serviceView(r, h.Host, h.Up))
	}
	return wire.JSON(wire.M{"services": list}), nil
}

// forcedDown is refused: Hearth goes by what a host reports.
func forcedDown(op string) error {
	return cloud.E(op, cloud.Unsupported, "forced_down is not implemented: whether a host is up is seen from its reports; disable it, or drain it")
}

// switchService is the way of before 2.53: PUT os-services/disable and its kin.
func (a *api) switchService(r *wire.Request) (*wire.Response, error) {
	const op = "nova.switchService"
	var in struct {
		Host, Binary   string
		DisabledReason *string `json:"disabled_reason"`
	}
	if err := a.schemas.decode(r, "services.json#/update", &in); err != nil {
		return nil, err
	}
	action := r.PathValue("id")
	reply := wire.M{"host": in.Host, "binary": in.Binary, "status": "disabled"}
	reason := ""
	switch {
	case action == "force-down" && r.Version.AtLeast(11):
		return nil, forcedDown(op)
	case action == "enable":
		reply["status"] = "enabled"
	case action == "disable":
	case action == "disable-log-reason" && in.DisabledReason == nil:
		return nil, cloud.E(op, cloud.Invalid, "Missing disabled reason field")
	case action == "disable-log-reason":
		reason = *in.DisabledReason
		reply["disabled_reason"] = reason
	default:
		return nil, cloud.E(op, cloud.NotFound, "Unknown action")
	}
	if in.Binary != computeBinary {
		return nil, cloud.E(op, cloud.Invalid, "Updating a %s service is not supported. Only nova-compute services can be updated.", in.Binary)
	}
	_, err := a.svc.EnableHost(r.Context(), in.Host, action == "enable", reason)
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
	case in.ForcedDown != nil:
		return nil, forcedDown(op)
	case in.Status == "":
		return nil, cloud.E(op, cloud.Invalid, "No updates were requested. Fields 'status' or 'forced_down' should be specified.")
	case in.Status == "enabled" && in.Reason != "":
		return nil, cloud.E(op, cloud.Invalid, "Specifying 'disabled_reason' with status 'enabled' is invalid.")
	}
	host, err := a.svc.EnableHost(r.Context(), h.Name, in.Status == "enabled", in.Reason)
	return wire.JSON(wire.M{"service": serviceView(r, host, h.Up)}), err
}

// hostOfService finds the host of a service's id.
func (a *api) hostOfService(r *wire.Request, id string) (compute.HostDetail, error) {
	hosts, err := a.svc.Hosts(r.Context())
	for _, h := range hosts {
		if serviceID(r, h.Host) == id {
			return h, err
		}
	}
	if err == nil {
		err = cloud.E("nova.updateService", cloud.NotFound, "Service %s could not be found.", id)
	}
	return compute.HostDetail{}, err
}
