package wire

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"strings"

	"hearth/internal/cloud"
)

// MethodError says that a path has other methods than the one used.
type MethodError struct {
	Method string
	Allow  []string
}

// Error is the sentence.
func (e *MethodError) Error() string {
	return fmt.Sprintf("The method %s is not allowed for this resource: it has %s.", e.Method, strings.Join(e.Allow, ", "))
}

// PolicyError says which policy forbids.
type PolicyError struct{ Policy string }

// Error is the sentence that services have for it by default, nova's.
func (e *PolicyError) Error() string {
	return fmt.Sprintf("Policy doesn't allow %s to be performed.", e.Policy)
}

// Denied is the error of a policy that does not allow; Forbidden.
func Denied(policy string) error {
	return cloud.E("wire.policy", cloud.Forbidden, "%w", &PolicyError{policy})
}

// tokenError is what keystonemiddleware, not the service, answers.
type tokenError struct{ error }

// Unwrap gives the cause.
func (e *tokenError) Unwrap() error { return e.error }

// statuses are what kinds are to most services.
var statuses = map[cloud.Kind]int{
	cloud.Invalid: 400, cloud.Unauthenticated: 401, cloud.Forbidden: 403, cloud.QuotaExceeded: 403, cloud.NotFound: 404,
	cloud.NotAcceptable: 406, cloud.Conflict: 409, cloud.Gone: 410, cloud.Precondition: 412, cloud.TooLarge: 413,
	cloud.MediaType: 415, cloud.RangeInvalid: 416, cloud.Unsupported: 501, cloud.Unavailable: 503,
}

// Status is the HTTP status of an error: that of its kind, 405 for a
// MethodError, 500 for what has no other.
func Status(err error) int {
	var method *MethodError
	var token *tokenError
	switch {
	case errors.As(err, &method):
		return http.StatusMethodNotAllowed
	case errors.As(err, &token):
		return http.StatusUnauthorized
	}
	if s, ok := statuses[cloud.KindOf(err)]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Sentence is what the person is told: the error's own sentence, but of an
// internal error only where its cause is to be found.
func Sentence(r *Request, err error) string {
	if Status(err) == http.StatusInternalServerError {
		return "An unexpected error prevented the server from fulfilling your request: the server's log has the cause at " + r.ID + "."
	}
	return cloud.Message(err)
}

// faultNames are nova's and cinder's (nova/api/openstack/wsgi.py, Fault).
var faultNames = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 409: "conflictingRequest",
	413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable",
}

func computeFault(r *Request, status int, err error) (int, any) {
	name, ok := faultNames[status]
	if !ok {
		name = "computeFault"
	}
	return status, M{name: M{"code": status, "message": Sentence(r, err)}}
}

// NovaFault says {"badRequest": {"code": 400, "message": "…"}}. A quota is 403.
func NovaFault(r *Request, err error) (int, any) { return computeFault(r, Status(err), err) }

// CinderFault is as NovaFault, but a quota is 413 overLimit.
func CinderFault(r *Request, err error) (int, any) {
	if cloud.Is(err, cloud.QuotaExceeded) {
		return computeFault(r, http.StatusRequestEntityTooLarge, err)
	}
	return computeFault(r, Status(err), err)
}

// KeystoneFault says {"error": {"code": 404, "title": "Not Found", "message": "…"}}.
// Why a login or a token is refused is not said: the log has it.
func KeystoneFault(r *Request, err error) (int, any) {
	status := Status(err)
	message := Sentence(r, err)
	var policy *PolicyError
	switch {
	case errors.As(err, &policy):
		message = "You are not authorized to perform the requested action: " + policy.Policy + "."
	case status == http.StatusUnauthorized:
		message = "The request you have made requires authentication."
	}
	return status, M{"error": M{"code": status, "title": http.StatusText(status), "message": message}}
}

// NeutronFault makes a fault of {"NeutronError": {"type": "NetworkNotFound",
// "message": "…", "detail": ""}}. The type's name comes from typeOf; where that
// says "", from the kind. A quota is 409 OverQuota.
func NeutronFault(typeOf func(err error) string) func(*Request, error) (int, any) {
	return func(r *Request, err error) (int, any) {
		status, message, name := Status(err), Sentence(r, err), ""
		if typeOf != nil {
			name = typeOf(err)
		}
		var policy *PolicyError
		switch {
		case errors.As(err, &policy):
			name, message = "PolicyNotAuthorized", "(rule:"+policy.Policy+") is disallowed by policy"
		case cloud.Is(err, cloud.QuotaExceeded):
			status = http.StatusConflict
		}
		if name == "" {
			name = neutronTypes[cloud.KindOf(err)]
		}
		if name == "" || status == http.StatusMethodNotAllowed {
			name = "HTTP" + strings.ReplaceAll(http.StatusText(status), " ", "")
		}
		return status, M{"NeutronError": M{"type": name, "message": message, "detail": ""}}
	}
}

var neutronTypes = map[cloud.Kind]string{
	cloud.Invalid: "HTTPBadRequest", cloud.NotFound: "HTTPNotFound", cloud.Conflict: "Conflict", cloud.QuotaExceeded: "OverQuota",
	cloud.Forbidden: "NotAuthorized", cloud.Unavailable: "ServiceUnavailable", cloud.Unsupported: "HTTPNotImplemented",
}

// GlanceFault says an error as webob does: a page of HTML, in JSON for those who
// accept that and no HTML, in plain text for those who accept neither. A quota
// is 413.
func GlanceFault(r *Request, err error) (int, any) {
	status, sentence := Status(err), Sentence(r, err)
	if cloud.Is(err, cloud.QuotaExceeded) {
		status = http.StatusRequestEntityTooLarge
	}
	var policy *PolicyError
	if errors.As(err, &policy) {
		sentence = "You are not authorized to complete " + policy.Policy + " action."
	}
	code := fmt.Sprintf("%d %s", status, http.StatusText(status))
	accept := r.Header.Get("Accept")
	switch {
	case strings.Contains(accept, "html") || strings.Contains(accept, "*/*"):
		page := "<html>\n <head>\n  <title>" + code + "</title>\n </head>\n <body>\n  <h1>" + code + "</h1>\n  " +
			html.EscapeString(sentence) + "<br /><br />\n\n\n </body>\n</html>"
		return status, Raw{"text/html; charset=UTF-8", []byte(page)}
	case strings.Contains(accept, "json"):
		return status, M{"message": html.EscapeString(sentence) + "<br /><br />\n\n\n", "code": code, "title": http.StatusText(status)}
	}
	return status, Raw{"text/plain; charset=UTF-8", []byte(code + "\n\n" + sentence + "\n\n   ")}
}

// PlacementFault says {"errors": [{"status": 404, "title": "Not Found", …}]}.
func PlacementFault(r *Request, err error) (int, any) {
	status := Status(err)
	e := M{"status": status, "title": http.StatusText(status), "detail": Sentence(r, err), "request_id": r.ID, "code": "placement.undefined_code"}
	if status == http.StatusNotAcceptable {
		e["min_version"], e["max_version"] = r.API.Versions.Min.String(), r.API.Versions.Max.String()
	}
	return status, M{"errors": []M{e}}
}
