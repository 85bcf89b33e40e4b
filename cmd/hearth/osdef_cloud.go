package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"go.yaml.in/yaml/v3"

	"hearth/internal/config"
	"hearth/internal/disk/osdef"
)

// inCloud keeps definitions in a cloud, by Hearth's own API.
type inCloud struct {
	ctx    context.Context
	client *gophercloud.ProviderClient
	base   string // of the API
	region string
	query  string // that names a project
}

// kept is a definition as the API has it.
type kept struct {
	osdef.Definition
	UserID    string `json:"user_id"`
	CreatedAt string `json:"created_at"`
}

// cloudDefinitions logs in to the cloud that OS_CLOUD or the OS_ variables name.
// Hearth's API is beside that of its identity service.
func cloudDefinitions(ctx context.Context, cfg *config.Config, project string) (definitions, error) {
	var client *gophercloud.ProviderClient
	var err error
	if name := os.Getenv("OS_CLOUD"); name != "" {
		get, rerr := cloudOf(name)
		if rerr != nil {
			return nil, rerr
		}
		client, err = openstack.AuthenticatedClient(ctx, oldLogin(get))
		err = refusal(err)
	} else {
		client, err = dialAny(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	c := &inCloud{ctx: ctx, client: client, base: strings.TrimSuffix(client.IdentityBase, "/") + "/hearth/v1/os-definitions", region: regionOf(cfg)}
	if project != "" {
		id, err := c.project(project)
		if err != nil {
			return nil, err
		}
		c.query = "?project_id=" + url.QueryEscape(id)
	}
	return c, nil
}

// project gives the id of a project.
func (c *inCloud) project(name string) (string, error) {
	keystone, err := openstack.NewIdentityV3(c.client, gophercloud.EndpointOpts{Region: c.region})
	if err != nil {
		return "", err
	}
	if p, err := projects.Get(c.ctx, keystone, name).Extract(); err == nil {
		return p.ID, nil
	}
	pages, err := projects.List(keystone, projects.ListOpts{Name: name}).AllPages(c.ctx)
	if err != nil {
		return "", refusal(err)
	}
	all, err := projects.ExtractProjects(pages)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%d projects are named %s", len(all), name)
	}
	if err != nil {
		return "", err
	}
	return all[0].ID, nil
}

// cloudOf reads the entry of a cloud in clouds.yaml and gives its values as the OS_
// variables would have them. Source: openstacksdk, "Configuration files".
func cloudOf(name string) (func(string) string, error) {
	places := []string{os.Getenv("OS_CLIENT_CONFIG_FILE"), "clouds.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		places = append(places, filepath.Join(dir, "openstack", "clouds.yaml"))
	}
	for _, place := range append(places, "/etc/openstack/clouds.yaml") {
		b, err := os.ReadFile(place)
		if place == "" || err != nil {
			continue
		}
		var file struct {
			Clouds map[string]struct {
				Auth map[string]string `yaml:"auth"`
			} `yaml:"clouds"`
		}
		if err := yaml.Unmarshal(b, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		if c, ok := file.Clouds[name]; ok {
			return func(variable string) string { return c.Auth[strings.ToLower(strings.TrimPrefix(variable, "OS_"))] }, nil
		}
	}
	return nil, fmt.Errorf("OS_CLOUD is %s, but no clouds.yaml has a cloud of this name", name)
}

func (c *inCloud) do(method, path string, body, answer any) error {
	o := &gophercloud.RequestOpts{JSONBody: body, JSONResponse: answer, OkCodes: []int{http.StatusOK, http.StatusCreated}}
	_, err := c.client.Request(c.ctx, method, c.base+path+c.query, o) //nolint:bodyclose // JSONResponse has it read and closed
	var unexpected gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &unexpected) {
		return fmt.Errorf("%s", faultMessage(unexpected.Body))
	}
	return err
}

// Put implements definitions.
func (c *inCloud) Put(d *osdef.Definition) (*osdef.Definition, error) {
	var made struct{ Definition kept }
	err := c.do(http.MethodPut, "/"+url.PathEscape(d.Name), map[string]any{"definition": d}, &made)
	return &made.Definition.Definition, err
}

// Get implements definitions.
func (c *inCloud) Get(ref string) (*osdef.Definition, error) {
	var found struct{ Definition kept }
	err := c.do(http.MethodGet, "/"+url.PathEscape(ref), nil, &found)
	return &found.Definition.Definition, err
}

// List implements definitions.
func (c *inCloud) List() (list []*osdef.Definition, err error) {
	var all struct{ Definitions []kept }
	err = c.do(http.MethodGet, "", nil, &all)
	for i := range all.Definitions {
		list = append(list, &all.Definitions[i].Definition)
	}
	return list, err
}

// History implements definitions.
func (c *inCloud) History(name string) (rows [][]string, err error) {
	var all struct{ Definitions []kept }
	err = c.do(http.MethodGet, "/"+url.PathEscape(name)+"/versions", nil, &all)
	for _, d := range all.Definitions {
		rows = append(rows, []string{fmt.Sprintf("%s@%d", d.Name, d.Version), d.CreatedAt, d.UserID})
	}
	return rows, err
}
