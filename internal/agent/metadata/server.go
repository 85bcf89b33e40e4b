package metadata

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// Passwords keeps the encrypted password that a guest posts, once, for its
// owner to fetch.
type Passwords interface {
	// Password gives what was posted; "" when nothing was.
	Password(instance string) string
	// SetPassword keeps it; Conflict when there is one already.
	SetPassword(instance, password string) error
}

// Lookup finds the instance that has an address on the network where a request
// came in.
type Lookup func(netip.Addr) (cloud.InstanceSpec, bool)

// Server answers metadata requests. One serves all networks of a node: each
// has its own Handler, which knows who is who there.
type Server struct {
	clock     cloud.Clock
	log       *slog.Logger
	tokens    *tokens
	passwords Passwords
}

// NewServer makes a server. Log may be nil.
func NewServer(clock cloud.Clock, passwords Passwords, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{clock: clock, log: log, tokens: newTokens(), passwords: passwords}
}

// The bounds of a request.
const (
	maxHeader   = 16 << 10
	maxPassword = 4 << 10 // nova takes 1020 bytes; some keys encrypt to more
	patience    = 10 * time.Second
)

// Site is a server for the guests of one network.
type Site struct{ web http.Server }

// Site makes the server of a network, with short patience and small bounds.
func (s *Server) Site(lookup Lookup) *Site {
	return &Site{http.Server{
		Handler: s.Handler(lookup), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: 3 * patience, IdleTimeout: 3 * patience,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}}
}

// Serve answers on a listener until Close, which is no error.
func (s *Site) Serve(l net.Listener) error {
	if err := s.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends every Serve and its connections.
func (s *Site) Close() error { return s.web.Close() }

// Handler answers the guests of one network, whom lookup knows by address.
func (s *Server) Handler(lookup Lookup) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "hearth")
		spec, ok := who(lookup, r.RemoteAddr)
		if !ok {
			http.Error(w, "no instance of this network has your address", http.StatusNotFound)
			return
		}
		s.answer(w, r, spec)
	})
}

// who finds the instance that a request came from.
func who(lookup Lookup, remote string) (cloud.InstanceSpec, bool) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return cloud.InstanceSpec{}, false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return cloud.InstanceSpec{}, false
	}
	return lookup(addr.Unmap().WithZone(""))
}

const (
	headerToken = "X-aws-ec2-metadata-token"
	headerTTL   = "X-aws-ec2-metadata-token-ttl-seconds"
	tokenPath   = "latest/api/token"
)

func (s *Server) answer(w http.ResponseWriter, r *http.Request, spec cloud.InstanceSpec) {
	path := strings.Trim(r.URL.Path, "/")
	if path == tokenPath {
		s.token(w, r, spec)
		return
	}
	if token := r.Header.Get(headerToken); token != "" && !s.tokens.valid(token, spec.ID, s.clock.Now()) {
		http.Error(w, "the token is not this instance's, or it ran out: PUT /latest/api/token for a new one", http.StatusUnauthorized)
		return
	}
	if isPassword(path) {
		s.password(w, r, spec)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "metadata can only be read", http.StatusMethodNotAllowed)
		return
	}
	body, ok := find(spec, path)
	if !ok {
		http.Error(w, "there is nothing at this path", http.StatusNotFound)
		return
	}
	write(w, path, body)
}

func write(w http.ResponseWriter, path string, body []byte) {
	kind := "text/plain; charset=utf-8"
	switch {
	case strings.HasSuffix(path, ".json"), strings.HasSuffix(path, "/document"):
		kind = "application/json"
	case strings.HasSuffix(path, "/user-data"), strings.HasSuffix(path, "/user_data"):
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// token starts a session of IMDSv2. A proxy that forwards for others is
// refused, as EC2 does.
func (s *Server) token(w http.ResponseWriter, r *http.Request, spec cloud.InstanceSpec) {
	if r.Method != http.MethodPut {
		w.Header().Set("Allow", "PUT")
		http.Error(w, "ask for a token with PUT", http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Get("X-Forwarded-For") != "" {
		http.Error(w, "tokens are not given to proxies", http.StatusForbidden)
		return
	}
	seconds, err := strconv.ParseInt(r.Header.Get(headerTTL), 10, 32)
	ttl := time.Duration(seconds) * time.Second
	if err != nil || ttl < minTTL || ttl > maxTTL {
		http.Error(w, headerTTL+" must be 1 to 21600", http.StatusBadRequest)
		return
	}
	w.Header().Set(headerTTL, strconv.FormatInt(seconds, 10))
	write(w, tokenPath, []byte(s.tokens.make(spec.ID, s.clock.Now().Add(ttl))))
}

func isPassword(path string) bool {
	parts := strings.Split(path, "/")
	return len(parts) == 3 && parts[0] == "openstack" && parts[2] == "password" && contains(OpenStackVersions, parts[1]) && parts[1] >= "2013-10-17"
}

// password gives or takes the encrypted password of the instance.
func (s *Server) password(w http.ResponseWriter, r *http.Request, spec cloud.InstanceSpec) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		write(w, "", []byte(s.passwords.Password(spec.ID)))
	case http.MethodPost:
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPassword))
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			http.Error(w, "the password is too long", http.StatusBadRequest)
			return
		}
		if err != nil {
			return // the guest hung up
		}
		err = s.passwords.SetPassword(spec.ID, string(body))
		if cloud.Is(err, cloud.Conflict) {
			http.Error(w, "the password is set already", http.StatusConflict)
			return
		}
		if err != nil {
			s.log.Error("password of an instance could not be kept", "instance", spec.ID, "error", err)
			http.Error(w, "the password could not be kept", http.StatusInternalServerError)
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "a password is read with GET and set with POST", http.StatusMethodNotAllowed)
	}
}
