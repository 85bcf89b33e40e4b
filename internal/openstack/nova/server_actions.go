package nova

import (
	"encoding/json"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// action does a server's action that a body asks for.
type action func(r *wire.Request, raw []byte, id string) (*wire.Response, error)

// actionName reads a body that is an object with the action as its one member.
func actionName(r *wire.Request) (raw []byte, name string, err error) {
	const op = "nova.action"
	if raw, err = body(r); err != nil {
		return nil, "", err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || len(members) == 0 {
		return nil, "", cloud.E(op, cloud.Invalid, "Malformed request body")
	}
	if len(members) > 1 {
		return nil, "", cloud.E(op, cloud.Invalid, "There are %d actions in the request: send one", len(members))
	}
	for name = range members {
	}
	return raw, name, nil
}

// serverAction finds the action that the body names.
func (a *api) serverAction(r *wire.Request) (*wire.Response, error) {
	raw, name, err := actionName(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	do, ok := map[string]action{
		"os-start": a.start, "os-stop": a.stop, "reboot": a.reboot, "lock": a.lock, "unlock": a.unlock, "forceDelete": a.forceDelete,
		"os-getConsoleOutput": a.consoleOutput, "addSecurityGroup": a.addGroup, "removeSecurityGroup": a.removeGroup,
		"addFloatingIp": a.addFloatingIP, "removeFloatingIp": a.removeFloatingIP,
		"pause": a.plainAction("pause", a.pause), "unpause": a.plainAction("unpause", a.unpause),
		"createImage": a.createImage, "resize": a.resize, "confirmResize": a.confirmResize, "revertResize": a.plainAction("revertResize", a.revertResize),
		"addFixedIp": a.addFixedIP, "removeFixedIp": a.removeFixedIP,
		"rebuild": a.rebuild, "rescue": a.rescue, "unrescue": a.plainAction("unrescue", a.unrescue),
		"restore": a.plainAction("restore", a.restore), "os-resetState": a.resetState, "resetNetwork": a.plainAction("resetNetwork", a.resetNetwork),
	}[name]
	if !ok {
		do, ok = a.verbs()[name]
	}
	if !ok {
		return nil, noAction(name)
	}
	return do(r, raw, id)
}

// read checks an action's body and puts it into v.
func (a *api) read(r *wire.Request, raw []byte, name string, v any) error {
	return a.schemas.decodeBytes(r, raw, "actions.json#/"+name, v)
}

func (a *api) start(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	if err := a.read(r, raw, "os-start", &struct{}{}); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Start(r.Context(), actor(r), id)
}

func (a *api) stop(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	if err := a.read(r, raw, "os-stop", &struct{}{}); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Stop(r.Context(), actor(r), id)
}

func (a *api) reboot(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct{ Reboot struct{ Type string } }
	if err := a.read(r, raw, "reboot", &in); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Reboot(r.Context(), actor(r), id, strings.EqualFold(in.Reboot.Type, "hard"))
}

func (a *api) lock(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct{ Lock json.RawMessage }
	if err := a.read(r, raw, "lock", &in); err != nil {
		return nil, err
	}
	var reason struct {
		Text string `json:"locked_reason"`
	}
	if r.Version.AtLeast(73) {
		if err := json.Unmarshal(in.Lock, &reason); err != nil {
			return nil, cloud.E("nova.lock", cloud.Invalid, "Malformed request body")
		}
	}
	return wire.Accepted(nil), a.svc.Lock(r.Context(), actor(r), id, reason.Text)
}

func (a *api) unlock(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	if err := a.read(r, raw, "unlock", &struct{}{}); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Unlock(r.Context(), actor(r), id)
}

func (a *api) forceDelete(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	if err := a.read(r, raw, "forceDelete", &struct{}{}); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.ForceDelete(r.Context(), actor(r), id)
}

func (a *api) consoleOutput(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Console struct{ Length wire.Opt[wire.Int] } `json:"os-getConsoleOutput"`
	}
	if err := a.read(r, raw, "os-getConsoleOutput", &in); err != nil {
		return nil, err
	}
	text, err := a.svc.Console(r.Context(), r.Caller, id, int(in.Console.Length.Or(-1)))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"output": withoutControls(text)}), nil
}

// withoutControls takes control characters but tabs and line feeds out of a
// console's text, as nova does.
func withoutControls(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 && c != '\t' && c != '\n' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func (a *api) addGroup(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct{ AddSecurityGroup groupName }
	if err := a.read(r, raw, "addSecurityGroup", &in); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.AddGroup(r.Context(), actor(r), id, in.AddSecurityGroup.Name)
}

func (a *api) removeGroup(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct{ RemoveSecurityGroup groupName }
	if err := a.read(r, raw, "removeSecurityGroup", &in); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.RemoveGroup(r.Context(), actor(r), id, in.RemoveSecurityGroup.Name)
}
