package nova

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func actionView(r *wire.Request, rec cloud.ActionRecord) wire.M {
	m := wire.M{
		"action": rec.Action, "instance_uuid": rec.ServerID, "request_id": rec.RequestID, "user_id": rec.UserID, "project_id": rec.ProjectID,
		"start_time": stampMicro(rec.StartedAt), "message": orNull(rec.Message),
	}
	if r.Version.AtLeast(58) {
		m["updated_at"] = stampMicro(rec.UpdatedAt)
	}
	return m
}

func (a *api) listActions(r *wire.Request) (*wire.Response, error) {
	known := []string{"limit", "marker", "changes-since"}
	if r.Version.AtLeast(66) {
		known = append(known, "changes-before")
	}
	if err := strictFrom(58, r, known...); err != nil {
		return nil, err
	}
	records, err := a.svc.Actions(r.Context(), r.Caller, r.PathValue("id"), r.Version.AtLeast(21))
	if err != nil {
		return nil, err
	}
	body := wire.M{}
	if r.Version.AtLeast(58) {
		if records, err = pageActions(r, records, body); err != nil {
			return nil, err
		}
	}
	views := []wire.M{}
	for _, rec := range records {
		views = append(views, actionView(r, rec))
	}
	body["instanceActions"] = views
	return wire.JSON(body), nil
}

// pageActions takes the page that is asked for, and adds the link to the next.
func pageActions(r *wire.Request, records []cloud.ActionRecord, body wire.M) ([]cloud.ActionRecord, error) {
	q := r.URL.Query()
	since, before := time.Time{}, time.Time{}
	for name, to := range map[string]*time.Time{"changes-since": &since, "changes-before": &before} {
		if !q.Has(name) || name == "changes-before" && !r.Version.AtLeast(66) {
			continue
		}
		t, err := parseTime(name, q.Get(name))
		if err != nil {
			return nil, err
		}
		*to = t
	}
	records = slices.DeleteFunc(records, func(rec cloud.ActionRecord) bool {
		return rec.UpdatedAt.Before(since) || !before.IsZero() && rec.UpdatedAt.After(before)
	})
	limit, marker, err := page(r)
	if err != nil {
		return nil, err
	}
	if marker != "" {
		i := slices.IndexFunc(records, func(rec cloud.ActionRecord) bool { return rec.RequestID == marker })
		if i < 0 {
			return nil, cloud.E("nova.actions", cloud.Invalid, "Marker %s could not be found.", marker)
		}
		records = records[i+1:]
	}
	if len(records) > limit {
		records = records[:limit]
		if limit > 0 {
			body["links"] = nextLinks(r, records[limit-1].RequestID)
		}
	}
	return records, nil
}

func (a *api) showAction(r *wire.Request) (*wire.Response, error) {
	id, request := r.PathValue("id"), r.PathValue("request")
	records, err := a.svc.Actions(r.Context(), r.Caller, id, r.Version.AtLeast(21))
	if err != nil {
		return nil, err
	}
	server, err := a.svc.EverServer(r.Context(), r.Caller, id)
	if err != nil && !cloud.Is(err, cloud.NotFound) { // of one that went without a record the events went too
		return nil, err
	}
	for _, rec := range records {
		if rec.RequestID != request {
			continue
		}
		m := actionView(r, rec)
		if r.Caller.IsAdmin() || r.Version.AtLeast(51) {
			m["events"] = eventsOf(r, rec, server)
		}
		return wire.JSON(wire.M{"instanceAction": m}), nil
	}
	return nil, cloud.E("nova.showAction", cloud.NotFound, "Action %s not found", request)
}

// eventsOf are the steps that belong to an action: those of the server's start
// belong to what began it last.
func eventsOf(r *wire.Request, rec cloud.ActionRecord, s cloud.Server) []wire.M {
	events := []wire.M{wholeEvent(r, rec, s)}
	if rec.Action != "create" && rec.Action != "start" && rec.Action != "reboot" && rec.Action != "rebuild" {
		return events
	}
	for _, step := range s.Steps {
		if step.Start.Before(rec.StartedAt) {
			continue
		}
		e := wire.M{"event": "compute_" + step.Name, "start_time": stampMicro(step.Start), "finish_time": nil, "result": nil}
		if step.Duration > 0 {
			e["finish_time"], e["result"] = stampMicro(step.Start.Add(step.Duration)), "Success"
		}
		if step.Error != "" {
			e["result"] = "Error"
		}
		addEventHost(r, e, s, step)
		events = append(events, e)
	}
	return events
}

// eventNames are what nova calls the work of an action, where that is not the
// action's own name.
var eventNames = map[string]string{
	"create": "compute__do_build_and_run_instance", "delete": "compute_terminate_instance", "createImage": "compute_snapshot_instance",
	"createBackup": "compute_backup_instance", "rebuild": "compute_rebuild_instance", "resize": "compute_prep_resize",
	"confirmResize": "compute_confirm_resize", "revertResize": "compute_finish_revert_resize", "shelveOffload": "compute_shelve_offload_instance",
	"attach_volume": "compute_attach_volume", "detach_volume": "compute_detach_volume", "extend_volume": "compute_extend_volume",
	"attach_interface": "compute_attach_interface", "detach_interface": "compute_detach_interface",
}

// wholeEvent is an action's work as one event.
func wholeEvent(r *wire.Request, rec cloud.ActionRecord, s cloud.Server) wire.M {
	name := eventNames[rec.Action]
	if name == "" {
		name = "compute_" + rec.Action + "_instance"
	}
	e := wire.M{"event": name, "start_time": stampMicro(rec.StartedAt), "finish_time": nil, "result": nil}
	if rec.FinishedAt != nil {
		e["finish_time"], e["result"] = stampMicro(*rec.FinishedAt), "Success"
	}
	if rec.Error != "" {
		e["result"] = "Error"
	}
	if rec.Node != "" {
		s.Node = rec.Node
	}
	addEventHost(r, e, s, cloud.Step{Error: rec.Error})
	return e
}

// addEventHost adds what came with microversions, and what is an admin's.
func addEventHost(r *wire.Request, e wire.M, s cloud.Server, step cloud.Step) {
	if r.Caller.IsAdmin() {
		e["traceback"] = orNull(step.Error)
	}
	if r.Version.AtLeast(62) {
		e["hostId"] = hostID(s.Node, s.ProjectID)
		if r.Caller.IsAdmin() {
			e["host"] = orNull(s.Node)
		}
	}
	if r.Version.AtLeast(84) {
		e["details"] = orNull(cmp.Or(step.Error, strings.Join(step.Notes, "\n")))
	}
}
