package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/test/outside"
)

// settings are what suites are told of the cloud.
type settings struct {
	dir                  string // where tests run and logs lie
	gopherDir            string // gophercloud's sources
	gopherEnv, pythonEnv []string
	cloud                *theCloud
	image, network       string // ids
}

type m = map[string]any

// theCloud is a hearth of this run's own, with the fake driver, and its operator.
type theCloud struct {
	*outside.Cloud
	*outside.Client
}

// The people of the suites, as DevStack has them.
const (
	admin    = "admin"
	password = "hearth-clients-1"
)

// prepare gives the cloud what DevStack has and suites count on: the users admin,
// demo and alt_demo, an image called cirros, default subnet pools. Flavors and networks it has.
func (c *theCloud) prepare(ctx context.Context) (*settings, error) {
	if err := c.people(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(c.pools(ctx), c.flavors(ctx)); err != nil {
		return nil, err
	}
	image, err := c.image(ctx)
	if err != nil {
		return nil, err
	}
	nets, err := c.networks(ctx)
	if err != nil {
		return nil, err
	}
	s := &settings{dir: filepath.Join(c.Work, "suites"), cloud: c, image: image, network: nets["private"].ID}
	s.gopherEnv = []string{
		"OS_AUTH_URL=" + c.Cloud.Base() + "/v3", "OS_USERNAME=" + admin, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=admin", "OS_DOMAIN_NAME=Default",
		"OS_REGION_NAME=RegionOne", "OS_BRANCH=master", "OS_IMAGE_ID=" + image, "OS_FLAVOR_ID=99", "OS_FLAVOR_ID_RESIZE=98",
		"OS_NETWORK_NAME=private", "OS_NETWORK_ID=" + nets["private"].ID, "OS_SUBNET_ID=" + nets["private"].first(),
		"OS_EXTGW_ID=" + nets["public"].ID, "OS_POOL_NAME=public", "GOFLAGS=",
	}
	s.pythonEnv = []string{
		"OS_CLIENT_CONFIG_FILE=" + filepath.Join(s.dir, "clouds.yaml"), "PYTHONWARNINGS=ignore", "OPENSTACKSDK_FUNC_TEST_TIMEOUT=60", "OS_TEST_TIMEOUT=300", // of a wait, of a test
		"PATH=/usr/bin:/bin:/usr/sbin:/sbin",
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	// A test of openstacksdk uploads this file of its own sources.
	if err := os.WriteFile(filepath.Join(s.dir, "CONTRIBUTING.rst"), []byte("anything\n"), 0o600); err != nil {
		return nil, err
	}
	return s, errors.Join(
		os.WriteFile(filepath.Join(s.dir, "terraformrc"), nil, 0o600),
		os.WriteFile(filepath.Join(s.dir, "test_libcloud.py"), libcloudPy, 0o600),
		os.WriteFile(filepath.Join(s.dir, "clouds.yaml"), []byte(c.clouds()), 0o600))
}

// python is the environment of a Python suite. cinder's takes its login from
// OS_…, which would be in the way of the others: those read clouds.yaml.
func (s *settings) python(suite string) []string {
	env := slices.Clone(s.pythonEnv)
	for _, client := range []string{"NOVA", "CINDER", "NEUTRON", "GLANCE"} {
		env = append(env, "OS_"+client+"CLIENT_EXEC_DIR=/usr/bin")
	}
	if suite == "cinder" || suite == "samples" {
		env = append(env, "OS_AUTH_URL="+s.cloud.Cloud.Base()+"/v3", "OS_USERNAME="+admin, "OS_PASSWORD="+password, "OS_PROJECT_NAME=admin",
			"OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default", "OS_VOLUME_API_VERSION=3")
	}
	if suite == "libcloud" {
		env = append(env, "AUTH_URL="+s.cloud.Cloud.Base(), "USERNAME="+admin, "PASSWORD="+password, "PROJECT=admin", "PROJECT_ID="+s.cloud.Project, "IMAGE="+s.image)
	}
	return append(env, "OS_NOVACLIENT_NETWORK=private")
}

// terraform is the environment of the provider's acceptance tests: some want to
// be an administrator, and the others a user.
func (s *settings) terraform(user string) []string {
	return append(slices.Clone(s.gopherEnv), "OS_USERNAME="+user, "OS_PROJECT_NAME="+user, "OS_DEFAULT_DOMAIN=default",
		"OS_FLAVOR_NAME=m1.acctest", "OS_IMAGE_NAME=cirros-0.6.2-x86_64-disk", "OS_NETWORK_FLAVOR_ID=none", // not OS_PORT_FORWARDING_ENVIRONMENT: the provider panics over a name of its own
		"OS_ONLINE_RESIZE=1", "TF_ACC=1", "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+filepath.Join(s.dir, "terraformrc"), "TF_ACC_PROVIDER_HOST=registry.opentofu.org")
}

// people makes the users with their projects and roles.
func (c *theCloud) people(ctx context.Context) error {
	var list struct{ Roles []struct{ ID, Name string } }
	if err := c.Get(ctx, "/v3/roles", &list); err != nil {
		return err
	}
	roles := map[string]string{}
	for _, r := range list.Roles {
		roles[r.Name] = r.ID
	}
	for _, name := range []string{admin, "demo", "alt_demo"} {
		user, err := c.user(ctx, name)
		if err != nil {
			return err
		}
		if name != admin {
			project, err := c.project(ctx, name)
			if err != nil {
				return err
			}
			if err := c.Do(ctx, "PUT", "/v3/projects/"+project+"/users/"+user+"/roles/"+roles["member"], nil, nil); err != nil {
				return err
			}
			continue
		}
		for _, at := range []string{"projects/" + c.Project, "domains/default", "system"} {
			if err := c.Do(ctx, "PUT", "/v3/"+at+"/users/"+user+"/roles/"+roles["admin"], nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// user makes a user, or gives the one there is the password.
func (c *theCloud) user(ctx context.Context, name string) (string, error) {
	var found struct{ Users []struct{ ID string } }
	if err := c.Get(ctx, "/v3/users?name="+name, &found); err != nil {
		return "", err
	}
	method, path := "POST", "/v3/users"
	if len(found.Users) > 0 {
		method, path = "PATCH", path+"/"+found.Users[0].ID
	}
	var made struct{ User struct{ ID string } }
	err := c.Do(ctx, method, path, m{"user": m{"name": name, "password": password}}, &made)
	return made.User.ID, err
}

// project makes a project, or finds the one there is.
func (c *theCloud) project(ctx context.Context, name string) (string, error) {
	var found struct{ Projects []struct{ ID string } }
	if err := c.Get(ctx, "/v3/projects?name="+name, &found); err != nil || len(found.Projects) > 0 {
		return append(found.Projects, struct{ ID string }{})[0].ID, err
	}
	var made struct{ Project struct{ ID string } }
	err := c.Do(ctx, "POST", "/v3/projects", m{"project": m{"name": name}}, &made)
	return made.Project.ID, err
}

// pools makes the default subnet pools, which auto-allocated topologies are cut
// from.
func (c *theCloud) pools(ctx context.Context) error {
	for name, pool := range map[string]m{
		"shared-default-subnetpool-v4": {"prefixes": []string{"10.0.0.0/22"}, "default_prefixlen": 26},
		"shared-default-subnetpool-v6": {"prefixes": []string{"fdd9:f3a4:54ca::/56"}, "default_prefixlen": 64},
	} {
		pool["name"], pool["shared"], pool["is_default"] = name, true, true
		if err := c.Do(ctx, "POST", "/network/v2.0/subnetpools", m{"subnetpool": pool}, nil); err != nil {
			return err
		}
	}
	return nil
}

// flavors makes those that gophercloud's and the Terraform provider's own CI make,
// and DevStack's m1.micro.
func (c *theCloud) flavors(ctx context.Context) error {
	var all error
	for _, f := range []m{
		{"id": "99", "name": "m1.acctest", "ram": 512, "vcpus": 1, "disk": 10, "OS-FLV-EXT-DATA:ephemeral": 10},
		{"id": "98", "name": "m1.resize", "ram": 512, "vcpus": 1, "disk": 11, "OS-FLV-EXT-DATA:ephemeral": 10},
		{"id": "84", "name": "m1.micro", "ram": 256, "vcpus": 1, "disk": 1},
	} {
		all = errors.Join(all, c.Do(ctx, "POST", "/compute/v2.1/flavors", m{"flavor": f}, nil))
	}
	return all
}

// image uploads what the fake driver boots as well as any other.
func (c *theCloud) image(ctx context.Context) (string, error) {
	var made struct{ ID string }
	for _, name := range []string{"cirros-0.6.2-x86_64-uec", "cirros-0.6.2-x86_64-disk"} { // the names that suites look for
		if err := c.Do(ctx, "POST", "/image/v2/images", m{"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"}, &made); err != nil {
			return "", err
		}
		if err := c.Upload(ctx, "/image/v2/images/"+made.ID+"/file", bytes.NewReader(make([]byte, 1<<20))); err != nil {
			return "", err
		}
	}
	return made.ID, nil
}

type found struct {
	ID, Name string
	Subnets  []string
}

func (n found) first() string { return append(n.Subnets, "")[0] }

// networks are those that every cloud begins with.
func (c *theCloud) networks(ctx context.Context) (map[string]found, error) {
	var list struct{ Networks []found }
	err := c.Get(ctx, "/network/v2.0/networks", &list)
	out := map[string]found{}
	for _, n := range list.Networks {
		out[n.Name] = n
	}
	return out, err
}

// clouds is clouds.yaml, with DevStack's names.
func (c *theCloud) clouds() string {
	var b strings.Builder
	b.WriteString("clouds:\n")
	entry := func(name, user, scope string) {
		fmt.Fprintf(&b, "  %s:\n    auth: {auth_url: %s/v3, username: %s, password: %s, user_domain_id: default, %s}\n", name, c.Cloud.Base(), user, password, scope)
		b.WriteString("    region_name: RegionOne\n    identity_api_version: '3'\n    volume_api_version: '3'\n")
	}
	for name, user := range map[string]string{"devstack-admin": admin, "devstack": "demo", "devstack-alt": "alt_demo"} {
		entry(name, user, "project_domain_id: default, project_name: "+user)
	}
	entry("devstack-system-admin", admin, "system_scope: all")
	return b.String()
}
