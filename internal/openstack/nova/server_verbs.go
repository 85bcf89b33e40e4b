package nova

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// verbs are the actions of servers whose bodies are in verbs.json.
func (a *api) verbs() map[string]action {
	return map[string]action{
		"suspend": a.plainVerb("suspend", a.svc.Suspend), "resume": a.plainVerb("resume", a.svc.Resume), "shelve": a.plainVerb("shelve", a.svc.Shelve),
		"shelveOffload": a.operatorVerb("os-shelve:shelve_offload", a.plainVerb("shelveOffload", a.svc.ShelveOffload)), "unshelve": a.unshelve,
		"createBackup": a.createBackup, "trigger_crash_dump": a.sinceVerb(17, a.plainVerb("trigger_crash_dump", a.svc.CrashDump)),
		"os-getVNCConsole": a.oldConsole("os-getVNCConsole"), "os-getSerialConsole": a.oldConsole("os-getSerialConsole"),
		"os-getSPICEConsole": a.oldConsole("os-getSPICEConsole"), "os-getRDPConsole": a.oldConsole("os-getRDPConsole"),
		"changePassword": a.changePassword, "hearthRootToVolume": a.rootToVolume, "hearthReplaceRoot": a.replaceRoot,
		"migrate": a.operatorVerb("os-migrate-server:migrate", a.migrate), "os-migrateLive": a.operatorVerb("os-migrate-server:migrate_live", a.liveMigrate),
		"evacuate": a.operatorVerb("os-evacuate", a.evacuate), "injectNetworkInfo": a.operatorVerb("os-admin-actions:inject_network_info", a.injectNetwork),
	}
}

// readVerb checks an action's body and puts it into v.
func (a *api) readVerb(r *wire.Request, raw []byte, name string, v any) error {
	return a.schemas.decodeBytes(r, raw, "verbs.json#/"+name, v)
}

// plainVerb is an action without parameters of interest, answered by 202.
func (a *api) plainVerb(name string, do func(ctx context.Context, who compute.Actor, id string) error) action {
	return func(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
		if err := a.readVerb(r, raw, name, &struct{}{}); err != nil {
			return nil, err
		}
		return wire.Accepted(nil), do(r.Context(), actor(r), id)
	}
}

// operatorVerb refuses an action to all but admins.
func (a *api) operatorVerb(policy string, do action) action {
	return func(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
		if err := operatorOnly(r, policy); err != nil {
			return nil, err
		}
		return do(r, raw, id)
	}
}

// sinceVerb is an action that came with microversion 2.n.
func (a *api) sinceVerb(n int, do action) action { return a.betweenVerb(n, 1<<30, do) }

// betweenVerb is an action that the microversions from 2.n to 2.m have.
func (a *api) betweenVerb(n, m int, do action) action {
	return func(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
		if !r.Version.AtLeast(n) || r.Version.AtLeast(m+1) {
			return nil, cloud.E("nova.action", cloud.NotFound, "API version '%s' is not supported on this method.", r.Version)
		}
		return do(r, raw, id)
	}
}

func (a *api) unshelve(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct{ Unshelve json.RawMessage }
	if err := a.readVerb(r, raw, "unshelve", &in); err != nil {
		return nil, err
	}
	var to compute.UnshelveTo
	if r.Version.AtLeast(77) {
		var where struct {
			Zone wire.Opt[string] `json:"availability_zone"`
			Host string
		}
		if err := json.Unmarshal(in.Unshelve, &where); err != nil {
			return nil, cloud.E("nova.unshelve", cloud.Invalid, "Malformed request body")
		}
		if to.Host = where.Host; where.Zone.Set {
			zone := where.Zone.Or("")
			to.Zone = &zone
		}
	}
	return wire.Accepted(nil), a.svc.Unshelve(r.Context(), actor(r), id, to)
}

func (a *api) createBackup(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Backup struct {
			Name     string
			Kind     string `json:"backup_type"`
			Rotation wire.Int
			Metadata map[string]string
		} `json:"createBackup"`
	}
	if err := a.readVerb(r, raw, "createBackup", &in); err != nil {
		return nil, err
	}
	b := in.Backup
	image, err := a.svc.CreateBackup(r.Context(), actor(r), id, compute.BackupRequest{Name: b.Name, Kind: b.Kind, Keep: int(b.Rotation), Properties: b.Metadata})
	return imageAnswer(r, image, err)
}

func (a *api) changePassword(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Change struct{ AdminPass string } `json:"changePassword"`
	}
	if err := a.readVerb(r, raw, "changePassword", &in); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.SetPassword(r.Context(), actor(r), id, in.Change.AdminPass)
}

func (a *api) migrate(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct{ Migrate json.RawMessage }
	if err := a.readVerb(r, raw, "migrate", &in); err != nil {
		return nil, err
	}
	var to struct{ Host string }
	if r.Version.AtLeast(56) {
		if err := json.Unmarshal(in.Migrate, &to); err != nil {
			return nil, cloud.E("nova.migrate", cloud.Invalid, "Malformed request body")
		}
	}
	return wire.Accepted(nil), a.svc.Migrate(r.Context(), actor(r), id, to.Host)
}

func (a *api) liveMigrate(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Live struct{ Host string } `json:"os-migrateLive"`
	}
	if err := a.readVerb(r, raw, "os-migrateLive", &in); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.LiveMigrate(r.Context(), actor(r), id, in.Live.Host)
}

func (a *api) evacuate(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Evacuate struct{ Host, AdminPass string }
	}
	if err := a.readVerb(r, raw, "evacuate", &in); err != nil {
		return nil, err
	}
	if err := a.svc.Evacuate(r.Context(), actor(r), id, in.Evacuate.Host); err != nil {
		return nil, err
	}
	if r.Version.AtLeast(14) {
		return &wire.Response{Status: http.StatusOK}, nil
	}
	password := in.Evacuate.AdminPass
	if password == "" {
		password = rand.Text()[:12]
	}
	return wire.JSON(wire.M{"adminPass": password}), nil
}

// injectNetwork has the node serve the server's ports anew, which is all that
// there is to it where guests learn their addresses from the network.
func (a *api) injectNetwork(r *wire.Request, _ []byte, id string) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.Push(r.Context(), actor(r), id, "injectNetworkInfo")
}
