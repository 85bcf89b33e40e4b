package nova

import (
	_ "embed"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/websocket"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
)

//go:embed console.html
var consolePage []byte

// Consoles answers below ConsolePath what remote-consoles gave out: a page that
// shows a screen, and the bytes of a screen or a serial line in the binary frames
// of a WebSocket (RFC 6455), as websockify has them for noVNC. What is not
// a console's is for next.
func Consoles(svc *compute.Service, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, consolePath):
			next.ServeHTTP(w, r)
		case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
			openSocket(svc, w, r)
		case r.URL.Path == consolePath+"vnc_auto.html" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' ws: wss:")
			w.Header().Set("Referrer-Policy", "no-referrer") // the address has the token
			_, _ = w.Write(consolePage)                      // a reader that went away is no matter
		default:
			http.NotFound(w, r)
		}
	})
}

// openSocket opens the console of a token and copies bytes until either end has
// enough.
func openSocket(svc *compute.Service, w http.ResponseWriter, r *http.Request) {
	console, err := svc.OpenConsole(r.Context(), r.URL.Query().Get("token"))
	if err != nil {
		status := map[bool]int{true: http.StatusForbidden, false: http.StatusServiceUnavailable}[cloud.Is(err, cloud.Forbidden)]
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
		return
	}
	defer console.Close()
	websocket.Server{Handshake: binaryOnly, Handler: func(ws *websocket.Conn) {
		ws.PayloadType = websocket.BinaryFrame
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(console, ws) // the end of either is the end of both
			console.Close()
		}()
		_, _ = io.Copy(ws, console)
		ws.Close()
		<-done
	}}.ServeHTTP(w, r)
}

// binaryOnly takes the subprotocol of noVNC if it is offered. A page of elsewhere
// may connect: what counts is the token.
func binaryOnly(config *websocket.Config, _ *http.Request) error {
	switch {
	case len(config.Protocol) == 0:
	case slices.Contains(config.Protocol, "binary"):
		config.Protocol = []string{"binary"}
	default:
		return errors.New("no subprotocol but binary")
	}
	return nil
}
