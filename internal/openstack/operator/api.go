// Package operator is Hearth's own API, beside OpenStack's: readiness, and what
// the command line asks of a running cloud.
package operator

import (
	"context"
	"net/http"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/operate"
)

// Readiness tells which parts of the cloud are up.
type Readiness interface {
	// Ready lists each part with whether it is up; ok when all are.
	Ready() (parts map[string]bool, ok bool)
	// Wait returns when all are up, or when ctx ends.
	Wait(ctx context.Context)
}

// LoginLog tells why logins failed of late.
type LoginLog interface {
	// Failures gives the newest failures, newest first, in sentences.
	Failures() []string
}

// API is the route table.
func API(svc *operate.Service, ready Readiness, logins LoginLog) wire.API {
	h := handlers{svc: svc, ready: ready, logins: logins}
	admin := func(name string) wire.Policy { return wire.Allow(wire.Admin, "hearth:"+name) }
	return wire.API{
		Name: "hearth", Prefix: "/hearth/v1", Fault: wire.NovaFault,
		Routes: append([]wire.Route{
			{Method: "GET", Path: "/ready", Policy: wire.Allow(wire.Public, "hearth:ready"), Handler: h.readiness},
			{Method: "GET", Path: "/explain/{kind}/{id}", Policy: admin("explain"), Handler: h.explain},
			{Method: "GET", Path: "/fits", Policy: admin("fits"), Handler: h.fits},
			{Method: "GET", Path: "/findings", Policy: admin("findings"), Handler: h.findings},
			{Method: "GET", Path: "/logins", Policy: admin("logins"), Handler: h.failures},
		}, definitionRoutes(h)...),
	}
}

type handlers struct {
	svc    *operate.Service
	ready  Readiness
	logins LoginLog
}

// maxWait bounds how long a client may have itself kept waiting.
const maxWait = 10 * time.Minute

// readiness answers 200 when every part is up, else 503. With ?wait=30s it
// answers as soon as all are, or when the time is over.
func (h handlers) readiness(r *wire.Request) (*wire.Response, error) {
	if text := r.URL.Query().Get("wait"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxWait {
			return nil, cloud.E("operator.ready", cloud.Invalid, "wait is %q: give a duration up to %s, such as 30s", text, maxWait)
		}
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		h.ready.Wait(ctx)
	}
	parts, ok := h.ready.Ready()
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	return &wire.Response{Status: status, Body: wire.M{"ready": ok, "parts": parts}}, nil
}

func (h handlers) explain(r *wire.Request) (*wire.Response, error) {
	e, err := h.svc.Explain(r.Context(), r.PathValue("kind"), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"explanation": e}), nil
}

func (h handlers) fits(r *wire.Request) (*wire.Response, error) {
	fits, err := h.svc.Fits(r.Context())
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"fits": append([]operate.Fit{}, fits...)}), nil
}

func (h handlers) findings(r *wire.Request) (*wire.Response, error) {
	found, err := h.svc.Findings(r.Context())
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"findings": append([]string{}, found...)}), nil
}

func (h handlers) failures(*wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"failures": append([]string{}, h.logins.Failures()...)}), nil
}
