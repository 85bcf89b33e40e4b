package glance

import (
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// logRoutes are Hearth's own: glance tells of a job no more than its last message.
func (h handlers) logRoutes() []wire.Route {
	return []wire.Route{{Method: "GET", Path: "/v2/images/{image}/hearth_log", Policy: wire.Allow(wire.Reader, "get_image"), Handler: h.imageLog}}
}

// imageLog tells the jobs that gave an image its bytes, in the words of nova's
// os-instance-actions: {"jobs": [{"id", "method", "request_id", "status", "message",
// "start_time", "finish_time", "events": [{"event", "start_time", "finish_time",
// "result", "details"}]}]}.
func (h handlers) imageLog(r *wire.Request) (*wire.Response, error) {
	logs, err := h.images.Logs(r.Context(), r.Caller, r.PathValue("image"))
	if err != nil {
		return nil, err
	}
	list := make([]wire.M, len(logs))
	for i, l := range logs {
		events := make([]wire.M, len(l.Steps))
		for j, s := range l.Steps {
			events[j] = renderStep(s)
		}
		list[i] = wire.M{"id": l.ID, "method": l.Method, "request_id": l.RequestID, "status": l.Status, "message": l.Message,
			"start_time": l.Start.UTC().Format(stepTime), "finish_time": l.End.UTC().Format(stepTime), "events": events}
	}
	return wire.JSON(wire.M{"jobs": list}), nil
}

// stepTime is a time as nova's events have it.
const stepTime = "2006-01-02T15:04:05.000000"

func renderStep(s cloud.Step) wire.M {
	result, details := "Success", s.Notes
	if s.Error != "" {
		result, details = "Error", append(details[:len(details):len(details)], s.Error)
	}
	return wire.M{"event": s.Name, "start_time": s.Start.UTC().Format(stepTime), "finish_time": s.Start.Add(s.Duration).UTC().Format(stepTime), "result": result, "details": strings.Join(details, "\n")}
}
