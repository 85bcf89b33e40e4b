package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// The control socket is how this program reaches the process that holds the
// data directory without a login: whoever may open the socket may read the
// database as well. It does what no API can: mend a login that fails.

const resetPath = "/reset-admin"

// control serves the socket until ctx ends. A socket that cannot be made costs
// nothing but the reset of a running cloud.
func (h *head) control(ctx context.Context) error {
	path := h.cfg.Paths().Control()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		h.log.Warn("no control socket: 'hearth auth reset admin' needs the cloud stopped", "error", err)
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+resetPath, func(w http.ResponseWriter, r *http.Request) {
		password, err := h.resetAdmin(r.Context())
		answer := map[string]string{"password": password}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			answer = map[string]string{"error": cloud.Message(err)}
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	profiles(mux)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// askReset has the running process reset the admin.
func askReset(ctx context.Context, cfg *config.Config) (string, error) {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", cfg.Paths().Control())
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hearth"+resetPath, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("the running cloud does not let itself be asked: %w; stop it with 'hearth down --keep-guests' and try again", err)
	}
	defer resp.Body.Close()
	var answer struct{ Password, Error string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", err
	}
	if answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	return answer.Password, nil
}
