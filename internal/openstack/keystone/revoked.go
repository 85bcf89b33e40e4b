package keystone

import (
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// revokedRoutes tell which tokens were revoked, and answer what keystone has given up.
func (a *api) revokedRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/v3/OS-REVOKE/events", service, "list_revoke_events", a.revokeEvents),
		route("GET", "/v3/auth/tokens/OS-PKI/revoked", wire.Public, "revocation_list", gone),
		route("GET", "/v3/OS-SIMPLE-CERT/ca", wire.Public, "get_ca_certificate", gone),
		route("GET", "/v3/OS-SIMPLE-CERT/certificates", wire.Public, "get_certificates", gone),
	}
}

// gone answers what was for tokens that were signed documents.
func gone(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("keystone.gone", cloud.Gone, "This API is no longer available due to the removal of support for PKI tokens.")
}

func (a *api) revokeEvents(r *wire.Request) (*wire.Response, error) {
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, cloud.E("keystone.since", cloud.Invalid, "invalidate date format %s", text)
		}
	}
	found, err := a.svc.RevokeEvents(r.Context(), since)
	if err != nil {
		return nil, err
	}
	events := make([]wire.M, len(found))
	for i, e := range found {
		events[i] = wire.M{"issued_before": stamp(e.IssuedBefore), "revoked_at": stamp(e.RevokedAt)}
		for name, id := range map[string]string{"audit_id": e.AuditID, "user_id": e.UserID} {
			if id != "" {
				events[i][name] = id
			}
		}
	}
	return wire.JSON(wire.M{"events": events, "links": links(r)}), nil
}
