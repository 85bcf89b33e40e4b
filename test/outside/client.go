package outside

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Client speaks to a cloud with one token.
type Client struct {
	Base, Token string
	Project     string // the id of the token's
}

// Login gives a client with a token for the operator's project.
func (c *Cloud) Login(ctx context.Context) (*Client, error) {
	op, err := c.Operator()
	if err != nil {
		return nil, err
	}
	cl := &Client{Base: c.Base()}
	type m = map[string]any
	domain := m{"id": "default"}
	body, err := json.Marshal(m{"auth": m{
		"identity": m{"methods": []string{"password"}, "password": m{"user": m{"name": op.User, "domain": domain, "password": op.Password}}},
		"scope":    m{"project": m{"name": op.Project, "domain": domain}},
	}})
	if err != nil {
		return nil, err
	}
	resp, err := cl.Send(ctx, http.MethodPost, "/v3/auth/tokens", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var made struct {
		Token struct{ Project struct{ ID string } }
	}
	err = json.NewDecoder(resp.Body).Decode(&made)
	cl.Token, cl.Project = resp.Header.Get("X-Subject-Token"), made.Token.Project.ID
	return cl, err
}

// Send sends a request and refuses any answer but a good one. The caller closes
// the answer's body.
func (cl *Client) Send(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, cl.Base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	if cl.Token != "" {
		req.Header.Set("X-Auth-Token", cl.Token)
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

// Get reads a JSON answer into out.
func (cl *Client) Get(ctx context.Context, path string, out any) error {
	return cl.Do(ctx, http.MethodGet, path, nil, out)
}

// Do sends a JSON body, unless in is nil, and reads the answer into out, unless
// that is nil or there is none.
func (cl *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	resp, err := cl.Send(ctx, method, path, "application/json", &body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Upload sends bytes, as the data of images are sent.
func (cl *Client) Upload(ctx context.Context, path string, from io.Reader) error {
	resp, err := cl.Send(ctx, http.MethodPut, path, "application/octet-stream", from)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
