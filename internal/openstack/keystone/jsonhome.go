package keystone

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"hearth/internal/openstack/wire"
)

// relationBase begins the names of relations and parameters.
const relationBase = "https://docs.openstack.org/api/openstack-identity/3/"

// mediaHome is the type of a document that lists an API's resources
// (draft-nottingham-json-home-06).
const mediaHome = "application/json-home"

// relations are the names of resources, as keystone 22's document has them, with
// their paths. What the route table does not have is not told.
const relations = `
ext/OS-EC2/1.0/rel/ec2tokens /ec2tokens
ext/OS-EC2/1.0/rel/user_credential /users/{user_id}/credentials/OS-EC2/{credential_id}
ext/OS-EC2/1.0/rel/user_credentials /users/{user_id}/credentials/OS-EC2
ext/OS-ENDPOINT-POLICY/1.0/rel/endpoint_policy /endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy
ext/OS-ENDPOINT-POLICY/1.0/rel/endpoint_policy_association /policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}
ext/OS-ENDPOINT-POLICY/1.0/rel/policy_endpoints /policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints
ext/OS-ENDPOINT-POLICY/1.0/rel/region_and_service_policy_association /policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}
ext/OS-ENDPOINT-POLICY/1.0/rel/service_policy_association /policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}
ext/OS-EP-FILTER/1.0/rel/endpoint_group /OS-EP-FILTER/endpoint_groups/{endpoint_group_id}
ext/OS-EP-FILTER/1.0/rel/endpoint_group_to_project_association /OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}
ext/OS-EP-FILTER/1.0/rel/endpoint_groups /OS-EP-FILTER/endpoint_groups
ext/OS-EP-FILTER/1.0/rel/endpoint_projects /OS-EP-FILTER/endpoints/{endpoint_id}/projects
ext/OS-EP-FILTER/1.0/rel/endpoints_in_endpoint_group /OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints
ext/OS-EP-FILTER/1.0/rel/project_endpoint /OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}
ext/OS-EP-FILTER/1.0/rel/project_endpoint_groups /OS-EP-FILTER/projects/{project_id}/endpoint_groups
ext/OS-EP-FILTER/1.0/rel/project_endpoints /OS-EP-FILTER/projects/{project_id}/endpoints
ext/OS-EP-FILTER/1.0/rel/projects_associated_with_endpoint_group /OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects
ext/OS-INHERIT/1.0/rel/domain_group_role_inherited_to_projects /OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects
ext/OS-INHERIT/1.0/rel/domain_group_roles_inherited_to_projects /OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects
ext/OS-INHERIT/1.0/rel/domain_user_role_inherited_to_projects /OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects
ext/OS-INHERIT/1.0/rel/domain_user_roles_inherited_to_projects /OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects
ext/OS-INHERIT/1.0/rel/project_group_role_inherited_to_projects /OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects
ext/OS-INHERIT/1.0/rel/project_user_role_inherited_to_projects /OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects
ext/OS-OAUTH1/1.0/rel/access_tokens /OS-OAUTH1/access_token
ext/OS-OAUTH1/1.0/rel/authorize_request_token /OS-OAUTH1/authorize/{request_token_id}
ext/OS-OAUTH1/1.0/rel/consumer /OS-OAUTH1/consumers/{consumer_id}
ext/OS-OAUTH1/1.0/rel/consumers /OS-OAUTH1/consumers
ext/OS-OAUTH1/1.0/rel/request_tokens /OS-OAUTH1/request_token
ext/OS-OAUTH1/1.0/rel/user_access_token /users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}
ext/OS-OAUTH1/1.0/rel/user_access_token_role /users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles/{role_id}
ext/OS-OAUTH1/1.0/rel/user_access_token_roles /users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles
ext/OS-OAUTH1/1.0/rel/user_access_tokens /users/{user_id}/OS-OAUTH1/access_tokens
ext/OS-PKI/1.0/rel/revocations /auth/tokens/OS-PKI/revoked
ext/OS-REVOKE/1.0/rel/events /OS-REVOKE/events
ext/OS-SIMPLE-CERT/1.0/rel/ca_certificate /OS-SIMPLE-CERT/ca
ext/OS-SIMPLE-CERT/1.0/rel/certificates /OS-SIMPLE-CERT/certificates
ext/OS-TRUST/1.0/rel/trust /OS-TRUST/trusts/{trust_id}
ext/OS-TRUST/1.0/rel/trust_role /OS-TRUST/trusts/{trust_id}/roles/{role_id}
ext/OS-TRUST/1.0/rel/trust_roles /OS-TRUST/trusts/{trust_id}/roles
ext/OS-TRUST/1.0/rel/trusts /OS-TRUST/trusts
ext/s3tokens/1.0/rel/s3tokens /s3tokens
rel/access_rule /users/{user_id}/access_rules/{access_rule_id}
rel/access_rules /users/{user_id}/access_rules
rel/application_credential /users/{user_id}/application_credentials/{application_credential_id}
rel/application_credentials /users/{user_id}/application_credentials
rel/auth_catalog /auth/catalog
rel/auth_domains /auth/domains
rel/auth_projects /auth/projects
rel/auth_system /auth/system
rel/auth_tokens /auth/tokens
rel/credential /credentials/{credential_id}
rel/credentials /credentials
rel/domain /domains/{domain_id}
rel/domain_config /domains/{domain_id}/config
rel/domain_config_default /domains/config/default
rel/domain_config_default_group /domains/config/{group}/default
rel/domain_config_default_option /domains/config/{group}/{option}/default
rel/domain_config_group /domains/{domain_id}/config/{group}
rel/domain_config_option /domains/{domain_id}/config/{group}/{option}
rel/domain_group_role /domains/{domain_id}/groups/{group_id}/roles/{role_id}
rel/domain_group_roles /domains/{domain_id}/groups/{group_id}/roles
rel/domain_user_role /domains/{domain_id}/users/{user_id}/roles/{role_id}
rel/domain_user_roles /domains/{domain_id}/users/{user_id}/roles
rel/domains /domains
rel/endpoint /endpoints/{endpoint_id}
rel/endpoints /endpoints
rel/group /groups/{group_id}
rel/group_user /groups/{group_id}/users/{user_id}
rel/group_users /groups/{group_id}/users
rel/groups /groups
rel/implied_role /roles/{prior_role_id}/implies/{implied_role_id}
rel/implied_roles /roles/{prior_role_id}/implies
rel/limit /limits/{limit_id}
rel/limit_model /limits/model
rel/limits /limits
rel/policies /policies
rel/policy /policies/{policy_id}
rel/project /projects/{project_id}
rel/project_group_role /projects/{project_id}/groups/{group_id}/roles/{role_id}
rel/project_group_roles /projects/{project_id}/groups/{group_id}/roles
rel/project_tags /projects/{project_id}/tags/{value}
rel/project_user_role /projects/{project_id}/users/{user_id}/roles/{role_id}
rel/project_user_roles /projects/{project_id}/users/{user_id}/roles
rel/projects /projects
rel/region /regions/{region_id}
rel/regions /regions
rel/registered_limit /registered_limits/{registered_limit_id}
rel/registered_limits /registered_limits
rel/role /roles/{role_id}
rel/role_assignments /role_assignments
rel/role_inferences /role_inferences
rel/roles /roles
rel/service /services/{service_id}
rel/services /services
rel/system_group_role /system/groups/{group_id}/roles/{role_id}
rel/system_group_roles /system/groups/{group_id}/roles
rel/system_user_role /system/users/{user_id}/roles/{role_id}
rel/system_user_roles /system/users/{user_id}/roles
rel/user /users/{user_id}
rel/user_change_password /users/{user_id}/password
rel/user_groups /users/{user_id}/groups
rel/user_projects /users/{user_id}/projects
rel/users /users
`

// parameters are the variables of paths whose name is not the parameter's own.
var parameters = map[string]string{
	"access_token_id":   "ext/OS-OAUTH1/1.0/param/access_token_id",
	"consumer_id":       "ext/OS-OAUTH1/1.0/param/consumer_id",
	"endpoint_group_id": "ext/OS-EP-FILTER/1.0/param/endpoint_group_id",
	"group":             "param/config_group",
	"implied_role_id":   "param/role_id",
	"option":            "param/config_option",
	"prior_role_id":     "param/role_id",
	"request_token_id":  "ext/OS-OAUTH1/1.0/param/request_token_id",
	"trust_id":          "ext/OS-TRUST/1.0/param/trust_id",
	"value":             "param/tag_value",
}

// prefersHome tells whether a client would rather have the document of resources
// than that of the version.
func prefersHome(r *wire.Request) bool {
	plain, home := quality(r.Header["Accept"], "application/json"), quality(r.Header["Accept"], mediaHome)
	return home > plain
}

// quality is how much a client wants a type: the named before the wild ones.
func quality(accept []string, media string) float64 {
	best := 0.0
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		if err != nil {
			q = 1
		}
		switch name {
		case media:
			q *= 1.0001 // of equals, what is named
		case "*/*", "application/*":
		default:
			continue
		}
		best = max(best, q)
	}
	return best
}

// home answers with the resources, their paths below prefix.
func (a *api) home(prefix string) (*wire.Response, error) {
	have := map[string]bool{}
	for _, r := range a.routes() {
		have[shape(r.Path)] = true
	}
	resources := wire.M{}
	for line := range strings.Lines(strings.TrimSpace(relations)) {
		relation, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		if have[shape("/v3"+path)] {
			resources[relationBase+relation] = resource(prefix, path)
		}
	}
	text, err := json.Marshal(wire.M{"resources": resources})
	if err != nil {
		return nil, err
	}
	return &wire.Response{Status: http.StatusOK, Body: wire.Raw{Type: mediaHome, Bytes: text}}, nil
}

// resource says where a resource is.
func resource(prefix, path string) wire.M {
	out, vars := wire.M{}, wire.M{}
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			vars[name] = relationBase + "param/" + name
			if other := parameters[name]; other != "" {
				vars[name] = relationBase + other
			}
		}
	}
	if len(vars) == 0 {
		out["href"] = prefix + path
	} else {
		out["href-template"], out["href-vars"] = prefix+path, vars
	}
	if strings.HasPrefix(path, "/limits") || strings.HasPrefix(path, "/registered_limits") {
		out["hints"] = wire.M{"status": "experimental"}
	}
	return out
}

// shape is a path without the names of its variables.
func shape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}
