package compute

import (
	"context"

	"hearth/internal/cloud"
)

// ExternalEvent is what another service has to say of a server.
type ExternalEvent struct {
	ServerID, Name, Tag string
	Status              string // failed, completed, in-progress; "" is completed
	Code                int    // of the answer, as HTTP has it: 200 taken, 404 no such server, 422 it is on no host, 400 wrong
}

// Codes of the answers to events.
const (
	eventTaken   = 200
	eventWrong   = 400
	eventNobody  = 404
	eventNowhere = 422
)

// ExternalEvents acts on events. NotFound when there is none of their servers.
func (s *Service) ExternalEvents(ctx context.Context, a Actor, events []ExternalEvent) ([]ExternalEvent, error) {
	const op = "compute.ExternalEvents"
	found := false
	for i := range events {
		e := &events[i]
		if e.Status == "" {
			e.Status = "completed"
		}
		d, err := s.Server(ctx, a.Caller, e.ServerID)
		switch {
		case cloud.Is(err, cloud.NotFound):
			e.Status, e.Code = "failed", eventNobody
			continue
		case err != nil:
			return nil, err
		}
		found = true
		if d.Node == "" {
			e.Status, e.Code = "failed", eventNowhere
			continue
		}
		if e.Code, err = s.externalEvent(ctx, a, *e); err != nil {
			return nil, err
		}
		if e.Code != eventTaken {
			e.Status = "failed"
		}
	}
	if !found {
		return nil, cloud.E(op, cloud.NotFound, "No instances found for any event")
	}
	return events, nil
}

// externalEvent acts on one event. What another service has changed of a server
// is read anew and handed to its node; a power that was turned is wanted so.
func (s *Service) externalEvent(ctx context.Context, a Actor, e ExternalEvent) (int, error) {
	var err error
	switch {
	case e.Name == "power-update" && e.Tag == "POWER_ON":
		err = s.Start(ctx, a, e.ServerID)
	case e.Name == "power-update" && e.Tag == "POWER_OFF":
		err = s.Stop(ctx, a, e.ServerID)
	case e.Name == "power-update":
		return eventWrong, nil
	default:
		err = s.Push(ctx, a, e.ServerID, "")
	}
	if cloud.Is(err, cloud.Conflict) { // it is so already, or on its way elsewhere
		err = nil
	}
	return eventTaken, err
}
