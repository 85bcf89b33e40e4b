package nova_test

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/nova"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/compute/computetest"
)

// TestVolumeAttachmentShapes holds the members of an attachment against each
// microversion that changed them.
func TestVolumeAttachmentShapes(t *testing.T) {
	b, c := build(t)
	s := b.Create(computetest.Member(), computetest.Request())
	b.Run(s.ID)
	v := b.AddVolume(1)
	path := v21 + "/servers/" + s.ID + "/os-volume_attachments"
	in := func(m wire.M) wire.M { return wire.M{"volumeAttachment": m} }
	at(c, 48).Do("POST", path, in(wire.M{"volumeId": v.ID, "tag": "x"})).Want(t, 400)
	at(c, 78).Do("POST", path, in(wire.M{"volumeId": v.ID, "delete_on_termination": true})).Want(t, 400)
	at(c, 79).Do("POST", path, in(wire.M{"volumeId": "vol"})).Want(t, 400)
	at(c, 79).Do("POST", path, in(wire.M{"volumeId": s.ID})).Want(t, 404)
	made := at(c, 79).Do("POST", path, in(wire.M{"volumeId": v.ID, "tag": "x", "delete_on_termination": true, "device": nil}))
	made.Want(t, 200)
	for _, w := range []string{`"device":"/dev/vdb"`, `"tag":"x"`, `"delete_on_termination":true`, `"id":"` + v.ID + `"`} {
		if !strings.Contains(string(made.Body), w) {
			t.Errorf("the answer has no %s: %s", w, made.Body)
		}
	}
	for _, w := range []struct {
		minor   int
		has, no []string
	}{
		{1, []string{`"id":"`, `"device":"/dev/vdb"`}, []string{`"tag"`, `"delete_on_termination"`, `"attachment_id"`}},
		{70, []string{`"id":"`, `"tag":"x"`}, []string{`"delete_on_termination"`, `"bdm_uuid"`}},
		{79, []string{`"id":"`, `"delete_on_termination":true`}, []string{`"bdm_uuid"`}},
		{89, []string{`"attachment_id":"`, `"bdm_uuid":"`}, []string{`"id":"`}},
	} {
		for _, p := range []string{path, path + "/" + v.ID} {
			r := at(c, w.minor).Do("GET", p, nil)
			r.Want(t, 200)
			for _, has := range w.has {
				if !strings.Contains(string(r.Body), has) {
					t.Errorf("2.%d has no %s: %s", w.minor, has, r.Body)
				}
			}
			for _, no := range w.no {
				if strings.Contains(string(r.Body), no) {
					t.Errorf("2.%d has %s: %s", w.minor, no, r.Body)
				}
			}
		}
	}
	at(c, 75).Do("GET", path+"?strange=1", nil).Want(t, 400)
	at(c, 1).Do("GET", path+"?limit=0&offset=1", nil).Want(t, 200)
	at(c, 1).Do("GET", path+"/"+s.ID, nil).Want(t, 404)
	if r := at(c, 3).Do("GET", v21+"/servers/"+s.ID, nil); !strings.Contains(string(r.Body), `"os-extended-volumes:volumes_attached":[{"id":"`+v.ID+`","delete_on_termination":true}]`) {
		t.Errorf("the server: %s", r.Body)
	}
}

// TestUpdateVolumeAttachment changes what may be changed from 2.85 on.
func TestUpdateVolumeAttachment(t *testing.T) {
	b, c := build(t)
	s := b.Create(computetest.Member(), computetest.Request())
	b.Run(s.ID)
	v, other := b.AddVolume(1), b.AddVolume(1)
	path := v21 + "/servers/" + s.ID + "/os-volume_attachments"
	in := func(m wire.M) wire.M { return wire.M{"volumeAttachment": m} }
	c.Do("POST", path, in(wire.M{"volumeId": v.ID})).Want(t, 200)
	at(c, 85).Do("PUT", path+"/"+v.ID, in(wire.M{"volumeId": v.ID, "delete_on_termination": true, "serverId": s.ID, "device": "/dev/vdb"})).Want(t, 202)
	if a := b.Attachments(s.ID); !a[0].DeleteOnTermination {
		t.Errorf("nothing was changed: %+v", a)
	}
	at(c, 85).Do("PUT", path+"/"+v.ID, in(wire.M{"volumeId": v.ID, "device": "/dev/vdc"})).Want(t, 400)
	at(c, 85).Do("PUT", path+"/"+v.ID, in(wire.M{"volumeId": other.ID})).Want(t, 403)
	at(c, 84).Do("PUT", path+"/"+v.ID, in(wire.M{"volumeId": other.ID})).Want(t, 403)
	admin := wiretest.New(t, nova.New(b.Compute)).As(computetest.Admin().Caller)
	at(admin, 84).Do("PUT", path+"/"+v.ID, in(wire.M{"volumeId": other.ID})).Want(t, 400) // not attached yet
	b.Plug(s.ID)
	b.Run(s.ID)
	at(admin, 84).Do("PUT", path+"/"+v.ID, in(wire.M{"volumeId": other.ID})).Want(t, 202)
	at(c, 85).Do("PUT", path+"/"+other.ID, in(wire.M{"volumeId": other.ID, "delete_on_termination": true})).Want(t, 404)
}

// TestOldVolumes asks nova for volumes and snapshots, as of before 2.36.
func TestOldVolumes(t *testing.T) {
	b, c := build(t)
	made := c.Do("POST", v21+"/os-volumes", wire.M{"volume": wire.M{"size": "1", "display_name": "old"}})
	made.Want(t, 200)
	if !strings.Contains(string(made.Body), `"attachments":[{}]`) || !strings.Contains(string(made.Body), `"displayName":"old"`) {
		t.Errorf("the volume: %s", made.Body)
	}
	c.Do("POST", v21+"/os-volumes", wire.M{"volume": wire.M{"display_name": "old"}}).Want(t, 400)
	v := b.AddVolume(1)
	c.Do("GET", v21+"/os-volumes/detail?limit=1&offset=1", nil).Want(t, 200)
	c.Do("GET", v21+"/os-volumes/", nil).Want(t, 404)
	c.Do("DELETE", v21+"/os-volumes/", nil).Want(t, 404)
	c.Do("POST", v21+"/os-snapshots", wire.M{"snapshot": wire.M{"volume_id": v.ID, "display_name": "snap"}}).Want(t, 200)
	c.Do("GET", v21+"/os-snapshots", nil).Want(t, 200)
	c.Do("DELETE", v21+"/os-volumes/"+v.ID, nil).Want(t, 400) // it has a snapshot
	at(c, 36).Do("GET", v21+"/os-volumes", nil).Want(t, 404)
	at(c, 36).Do("GET", v21+"/os-snapshots", nil).Want(t, 404)
}

// TestBootDevices makes servers by block_device_mapping of both forms.
func TestBootDevices(t *testing.T) {
	b, c := build(t)
	v := b.AddVolume(2)
	b.MakeVolume(v.ID, func(v *cloud.Volume) { v.Bootable = true })
	body := func(form string, devices ...wire.M) wire.M {
		return wire.M{"server": wire.M{"name": "vm", "flavorRef": "1", "networks": "none", form: devices}}
	}
	made := at(c, 37).Do("POST", v21+"/servers", body("block_device_mapping", wire.M{"volume_id": v.ID, "device_name": "vda", "delete_on_termination": "1"}))
	made.Want(t, 202)
	v2 := body("block_device_mapping_v2", wire.M{"boot_index": "0", "uuid": computetest.ImageID, "source_type": "image", "destination_type": "volume", "volume_size": 2, "volume_type": "__DEFAULT__"})
	at(c, 66).Do("POST", v21+"/servers", v2).Want(t, 400)
	made = at(c, 67).Do("POST", v21+"/servers", v2)
	made.Want(t, 202)
	list := c.Do("GET", v21+"/servers/detail", nil)
	if n := strings.Count(string(list.Body), `"image":""`); n != 2 {
		t.Errorf("%d servers without an image: %s", n, list.Body)
	}
	r := at(c, 67).Do("POST", v21+"/servers", body("block_device_mapping_v2", wire.M{"boot_index": 0, "uuid": v.ID, "source_type": "volume", "destination_type": "volume"}))
	r.Want(t, 400)
	if !strings.Contains(string(r.Body), "status must be available") {
		t.Errorf("a volume that a server has: %s", r.Body)
	}
}

// TestInterfaces plugs a NIC in and out by the API.
func TestInterfaces(t *testing.T) {
	b, c := build(t)
	s := b.Create(computetest.Member(), computetest.Request())
	b.Run(s.ID)
	path := v21 + "/servers/" + s.ID + "/os-interface"
	in := func(m wire.M) wire.M { return wire.M{"interfaceAttachment": m} }
	at(c, 48).Do("POST", path, in(wire.M{"net_id": b.Net.ID, "tag": "x"})).Want(t, 400)
	c.Do("POST", path, in(wire.M{"net_id": b.Net.ID, "port_id": b.Net.ID})).Want(t, 400)
	c.Do("POST", path, in(wire.M{"fixed_ips": []wire.M{{"ip_address": "10.0.0.9"}}})).Want(t, 400)
	made := at(c, 70).Do("POST", path, in(wire.M{"net_id": b.Net.ID, "tag": "x", "fixed_ips": []wire.M{{"ip_address": "10.0.0.77"}}}))
	made.Want(t, 200)
	if !strings.Contains(string(made.Body), `"tag":"x"`) || !strings.Contains(string(made.Body), "10.0.0.77") {
		t.Errorf("the interface: %s", made.Body)
	}
	c.Do("POST", path, wire.M{}).Want(t, 200) // the one network there is
	d, err := b.Compute.Server(t.Context(), computetest.Member().Caller, s.ID)
	b.Must(err)
	c.Do("DELETE", path+"/"+d.Ports[1].ID, nil).Want(t, 202)
	c.Do("DELETE", path+"/"+d.Ports[1].ID, nil).Want(t, 404)
	act := v21 + "/servers/" + s.ID + "/action"
	c.Do("POST", act, wire.M{"addFixedIp": wire.M{"networkId": b.Net.ID}}).Want(t, 202)
	at(c, 44).Do("POST", act, wire.M{"addFixedIp": wire.M{"networkId": b.Net.ID}}).Want(t, 400)
	c.Do("POST", act, wire.M{"removeFixedIp": wire.M{"address": "10.9.9.9"}}).Want(t, 400)
	at(c, 43).Do("GET", v21+"/servers/"+s.ID+"/os-virtual-interfaces", nil).Want(t, 410)
	at(c, 44).Do("GET", v21+"/servers/"+s.ID+"/os-virtual-interfaces", nil).Want(t, 404)
}
