package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// client speaks to the cloud as its operator.
type client struct {
	base  string
	token string
}

// login gives a client with a token for the operator's project.
func (c *theCloud) login(ctx context.Context) (*client, error) {
	cl := &client{base: "http://" + c.listen}
	domain := map[string]any{"name": "Default"}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{
			"user": map[string]any{"name": c.operator.User, "domain": domain, "password": c.operator.Password}}},
		"scope": map[string]any{"project": map[string]any{"name": c.operator.Project, "domain": domain}}}})
	if err != nil {
		return nil, err
	}
	resp, err := cl.send(ctx, http.MethodPost, "/v3/auth/tokens", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	cl.token = resp.Header.Get("X-Subject-Token")
	return cl, resp.Body.Close()
}

// send sends a request and refuses any answer but a good one.
func (cl *client) send(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, cl.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	if cl.token != "" {
		req.Header.Set("X-Auth-Token", cl.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 { // the versions of an API are told with 300
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp, nil
}

// get reads a JSON answer into out.
func (cl *client) get(ctx context.Context, path string, out any) error {
	return cl.do(ctx, http.MethodGet, path, nil, out)
}

// do sends a JSON body, unless in is nil, and reads the answer into out.
func (cl *client) do(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	resp, err := cl.send(ctx, method, path, "application/json", &body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(out)
}
