package wire

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"hearth/internal/cloud"
)

// Options are what a Mux can be told.
type Options struct {
	Log            *slog.Logger // nil for none
	BaseURL        string       // the address to put into links; "" for the one that the client used
	TrustForwarded bool         // believe X-Forwarded-Proto and -Host: only behind one's own proxy
}

// Mux dispatches requests to the routes of APIs. It alone authenticates, judges
// policies, negotiates microversions, and writes headers, bodies and faults.
type Mux struct {
	apis []API
	auth Authenticator
	opts Options
	tree tree

	bodies sync.Pool // buffers that bodies were made in: a list of 1,000 servers is more than a megabyte
}

// NewMux makes the dispatcher of the APIs. An API with the Prefix "" also
// answers what belongs to none. It does not look for mistakes: see Check.
func NewMux(apis []API, auth Authenticator, opts Options) *Mux {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.BaseURL = strings.TrimRight(opts.BaseURL, "/")
	m := &Mux{apis: apis, auth: auth, opts: opts, bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	for i := range m.apis {
		api := &m.apis[i]
		for j := range api.Routes {
			m.tree.add(api, &api.Routes[j])
		}
	}
	return m
}

// visit is one request on its way through.
type visit struct {
	mux     *Mux
	w       *recorder
	req     *Request
	pattern string
	begun   time.Time
	err     error // what went wrong, for the log
}

// ServeHTTP answers a request and logs one line about it.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{mux: m, w: &recorder{ResponseWriter: w}, begun: time.Now()}
	v.req = &Request{Request: r, ID: "req-" + cloud.NewID(), BaseURL: m.baseURL(r), GlobalID: globalID(r), API: &API{Fault: KeystoneFault}}
	v.w.Header().Set("X-Openstack-Request-Id", v.req.ID)
	defer v.log()
	defer v.recover()
	resp, err := v.run()
	if err != nil {
		v.fault(err)
		return
	}
	v.write(resp)
}

// run takes the request to its handler.
func (v *visit) run() (*Response, error) {
	candidates, err := v.route()
	if resp := v.options(err); resp != nil {
		return resp, nil
	}
	if err != nil {
		return nil, err
	}
	if err := v.authenticate(candidates[0].route.Policy.Rule); err != nil {
		return nil, err
	}
	if !v.permitted() {
		return nil, &tokenError{errNotInRules}
	}
	versions := v.req.API.Versions
	if v.req.Version, err = versions.negotiate(v.req.Header); err != nil {
		return nil, err
	}
	versions.echo(v.w.Header(), v.req.Version)
	if err := v.wellFormed(); err != nil {
		return nil, err
	}
	for _, b := range candidates {
		if !b.route.holds(v.req.Version) {
			continue
		}
		if policy := b.route.Policy; !policy.Rule.allows(v.req.Caller, v.req.Request) {
			return nil, Denied(policy.Name)
		}
		return b.route.Handler(v.req)
	}
	return nil, cloud.E("wire.route", cloud.NotFound, "API version '%s' is not supported on this method.", v.req.Version)
}

// route finds the routes, one for each range of microversions.
func (v *visit) route() ([]*bound, error) {
	r := v.req.Request
	segs, ok := segments(r.URL.EscapedPath())
	v.req.API = v.mux.apiOf(segs, v.req.API)
	v.nameRequest()
	if !ok {
		return nil, cloud.E("wire.route", cloud.Invalid, "the path has a broken escape sequence")
	}
	segs, v.req.Project = v.req.API.withoutProject(segs)
	f := v.mux.tree.find(r.Method, segs)
	if len(f.routes) == 0 && len(f.allow) > 0 {
		v.w.Header().Set("Allow", strings.Join(f.allow, ", "))
		return nil, cloud.E("wire.route", cloud.Invalid, "%w", &MethodError{Method: r.Method, Allow: f.allow})
	}
	if len(f.routes) == 0 {
		return nil, cloud.E("wire.route", cloud.NotFound, "The resource could not be found.")
	}
	b := f.routes[0]
	for i, name := range b.names {
		r.SetPathValue(name, f.values[i])
	}
	v.req.API, v.pattern, r.Pattern = b.api, b.pattern, b.pattern
	return f.routes, nil
}

// options answers OPTIONS where the API does: as Flask, with nothing but the methods.
// It is nil for other requests.
func (v *visit) options(err error) *Response {
	var other *MethodError
	if v.req.Method != http.MethodOptions || !v.req.API.Options || !errors.As(err, &other) {
		return nil
	}
	allow := append(slices.Clone(other.Allow), http.MethodOptions)
	slices.Sort(allow)
	return &Response{Status: http.StatusOK, Body: Raw{Type: "text/html; charset=utf-8"}, Header: http.Header{"Allow": {strings.Join(allow, ", ")}}}
}

// wellFormed judges what an API asks of each of its requests.
func (v *visit) wellFormed() error {
	if media := v.req.API.Media; media != nil {
		if err := media(v.req); err != nil {
			return err
		}
	}
	return v.ofProject()
}

// nameRequest says the request's id also in the header that nova and cinder have.
func (v *visit) nameRequest() {
	if name := v.req.API.Name; name == "compute" || name == "volume" {
		v.w.Header().Set("X-Compute-Request-Id", v.req.ID)
	}
}

// apiOf is the API with the longest prefix of a path.
func (m *Mux) apiOf(segs []string, none *API) *API {
	best, length := none, -1
	for i := range m.apis {
		prefix, _ := segments(m.apis[i].Prefix)
		if len(prefix) > length && len(prefix) <= len(segs) && strings.Join(prefix, "/") == strings.Join(segs[:len(prefix)], "/") {
			best, length = &m.apis[i], len(prefix)
		}
	}
	return best
}

// errNoToken is why a request without a token is refused.
var errNoToken = errors.New("the request has no X-Auth-Token")

// authenticate finds who calls, unless anybody may.
func (v *visit) authenticate(rule Rule) error {
	if rule.Public {
		return nil
	}
	token := v.req.Header.Get("X-Auth-Token")
	if token == "" {
		return &tokenError{errNoToken}
	}
	caller, err := v.mux.auth.Authenticate(v.req.Context(), token)
	if cloud.Is(err, cloud.Unauthenticated) {
		return &tokenError{err}
	}
	v.req.Caller = caller
	return err
}

// errNotInRules is why an application credential with access rules is refused.
var errNotInRules = errors.New("the access rules of the application credential do not have the request")

// permitted judges the access rules of the caller, as keystonemiddleware does. The
// path is the service's own: without the first segment of the API's prefix, which
// says only where the service is.
func (v *visit) permitted() bool {
	path := v.req.URL.Path
	if first, _, _ := strings.Cut(strings.TrimPrefix(v.req.API.Prefix, "/"), "/"); first != "" {
		path = strings.TrimPrefix(path, "/"+first)
	}
	return v.req.Caller.Permits(v.req.API.Name, v.req.Method, path)
}

// recover answers a panic with a fault. What was already begun is broken off, so
// that the client does not take a part for the whole.
func (v *visit) recover() {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // what net/http panics with, as it is
		panic(p)
	}
	v.mux.opts.Log.Error("panic", "request", v.req.ID, "panic", p, "stack", string(debug.Stack()))
	if v.w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	v.fault(cloud.E("wire.recover", cloud.Internal, "panic: %v", p))
}

// log writes the request's line. The query, the headers and the bodies are never
// in it: they may hold secrets.
func (v *visit) log() {
	level := slog.LevelInfo
	switch {
	case v.w.status >= 500 && v.w.status != http.StatusNotImplemented:
		level = slog.LevelError
	case v.w.status >= 400:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("method", v.req.Method), slog.String("path", v.req.URL.EscapedPath()), slog.Int("status", v.w.status),
		slog.Int64("bytes", v.w.bytes), slog.Duration("took", time.Since(v.begun)), slog.String("request", v.req.ID),
		slog.String("from", v.req.RemoteAddr),
	}
	for _, a := range []struct{ name, value string }{
		{"api", v.req.API.Name}, {"route", v.pattern}, {"global", v.req.GlobalID}, {"user", v.req.Caller.UserID}, {"project", v.req.Caller.ProjectID},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	if v.err != nil {
		attrs = append(attrs, slog.String("error", v.err.Error()))
	}
	v.mux.opts.Log.LogAttrs(context.WithoutCancel(v.req.Context()), level, "request", attrs...)
}

// baseURL is the address to put into links.
func (m *Mux) baseURL(r *http.Request) string {
	if m.opts.BaseURL != "" {
		return m.opts.BaseURL
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if m.opts.TrustForwarded {
		if s := r.Header.Get("X-Forwarded-Proto"); s == "http" || s == "https" {
			scheme = s
		}
		if h := r.Header.Get("X-Forwarded-Host"); h != "" {
			host = h
		}
	}
	return scheme + "://" + host
}

// globalID is the inbound request id, if it is one (oslo.context's form).
func globalID(r *http.Request) string {
	id := r.Header.Get("X-Openstack-Request-Id")
	if strings.HasPrefix(id, "req-") && len(id) == 40 && cloud.IsID(id[4:]) {
		return id
	}
	return ""
}
