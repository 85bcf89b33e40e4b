package identity

import (
	"context"
	"fmt"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// configOptions are the options that a domain can have of its own, by group, with
// the value that holds where it has none: keystone's own.
var configOptions = map[string]map[string]any{
	"identity": {"driver": "sql", "list_limit": nil},
	"ldap": {
		"url": "ldap://localhost", "user": nil, "suffix": "cn=example,cn=com", "query_scope": "one", "page_size": 0,
		"alias_dereferencing": "default", "debug_level": nil, "chase_referrals": nil,
		"user_tree_dn": nil, "user_filter": nil, "user_objectclass": "inetOrgPerson", "user_id_attribute": "cn",
		"user_name_attribute": "sn", "user_mail_attribute": "mail", "user_description_attribute": "description",
		"user_pass_attribute": "userPassword", "user_enabled_attribute": "enabled", "user_enabled_invert": false,
		"user_enabled_mask": 0, "user_enabled_default": "True", "user_attribute_ignore": []any{"default_project_id"},
		"user_default_project_id_attribute": nil, "user_enabled_emulation": false, "user_enabled_emulation_dn": nil,
		"user_enabled_emulation_use_group_config": false, "user_additional_attribute_mapping": []any{},
		"group_tree_dn": nil, "group_filter": nil, "group_objectclass": "groupOfNames", "group_id_attribute": "cn",
		"group_name_attribute": "ou", "group_members_are_ids": false, "group_member_attribute": "member",
		"group_desc_attribute": "description", "group_attribute_ignore": []any{}, "group_additional_attribute_mapping": []any{},
		"tls_cacertfile": nil, "tls_cacertdir": nil, "use_tls": false, "tls_req_cert": "demand",
		"use_pool": true, "pool_size": 10, "pool_retry_max": 3, "pool_retry_delay": 0.1, "pool_connection_timeout": -1,
		"pool_connection_lifetime": 600, "use_auth_pool": true, "auth_pool_size": 100, "auth_pool_connection_lifetime": 60,
	},
}

// hidden are options that can be written but are never shown.
var hidden = map[string]string{"ldap": "password"}

// groups is a configuration: options by group.
type groups = map[string]map[string]any

func domainConfigRows(tx *store.Tx) *store.Table[cloud.DomainConfig] { return tx.DomainConfigs }

func badConfig(format string, args ...any) error {
	return cloud.E("identity.DomainConfig", cloud.Forbidden, "Invalid domain specific configuration: "+format, args...)
}

// checkOption refuses a group, or an option of it, that no domain can have.
func checkOption(group, option string) error {
	known, ok := configOptions[group]
	if !ok && group != "" {
		return badConfig("Group %s is not supported for domain specific configurations.", group)
	}
	if _, ok := known[option]; !ok && option != "" && hidden[group] != option {
		return badConfig("Option %s in group %s is not supported for domain specific configurations.", option, group)
	}
	return nil
}

// checkConfig refuses a configuration with anything that no domain can have.
func checkConfig(config groups) error {
	if len(config) == 0 {
		return badConfig("No options specified.")
	}
	for group, options := range config {
		if err := checkOption(group, ""); err != nil {
			return err
		}
		if len(options) == 0 {
			return badConfig("The value of group %s specified in the config should be a dictionary of options.", group)
		}
		for option := range options {
			if err := checkOption(group, option); err != nil {
				return err
			}
		}
	}
	return nil
}

// missingConfig says in keystone's words what a domain's configuration lacks.
func missingConfig(domainID, group, option string) error {
	what := "any options"
	switch {
	case option != "":
		what = fmt.Sprintf("option %s in group %s", option, group)
	case group != "":
		what = "group " + group
	}
	return cloud.E("identity.DomainConfig", cloud.NotFound, "Could not find %s in domain configuration for domain %s.", what, domainID)
}

// DefaultConfig is what holds for a domain without a configuration of its own, a
// group of it, or an option: Forbidden for one that there is not.
func DefaultConfig(group, option string) (groups, error) {
	if err := checkOption(group, option); err != nil {
		return nil, err
	}
	return pickConfig(configOptions, group, option), nil
}

// pickConfig gives what may be shown of a configuration, of a group and an
// option of it if they are not "".
func pickConfig(config groups, group, option string) groups {
	out := groups{}
	for g, options := range config {
		if group != "" && g != group {
			continue
		}
		shown := maps.Clone(options)
		maps.DeleteFunc(shown, func(o string, _ any) bool { return o == hidden[g] || option != "" && o != option })
		if len(shown) > 0 {
			out[g] = shown
		}
	}
	return out
}

// DomainConfig gives a domain's configuration, or a group or an option of it;
// NotFound if there is nothing, Forbidden for what no domain can have.
func (s *Service) DomainConfig(ctx context.Context, domainID, group, option string) (groups, error) {
	if err := checkOption(group, option); err != nil {
		return nil, err
	}
	config, err := fetch(ctx, s, domainConfigRows, domainID)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return nil, err
	}
	shown := pickConfig(config.Groups, group, option)
	if len(shown) == 0 {
		return nil, missingConfig(domainID, group, option)
	}
	return shown, nil
}

// PutDomainConfig gives a domain a configuration in place of the one it had;
// made says that it had none. NotFound for the domain.
func (s *Service) PutDomainConfig(ctx context.Context, domainID string, config groups) (shown groups, made bool, err error) {
	if err := checkConfig(config); err != nil {
		return nil, false, err
	}
	err = s.update(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Domains, "domain", domainID, cloud.NotFound); err != nil {
			return err
		}
		_, err := tx.DomainConfigs.Get(domainID)
		if made = cloud.Is(err, cloud.NotFound); err != nil && !made {
			return err
		}
		return tx.DomainConfigs.Put(cloud.DomainConfig{DomainID: domainID, Groups: config})
	})
	return pickConfig(config, "", ""), made, err
}

// UpdateDomainConfig changes options of a domain's configuration. With a group,
// or an option, that one alone is changed, and it must have been there: NotFound.
func (s *Service) UpdateDomainConfig(ctx context.Context, domainID, group, option string, config groups) (groups, error) {
	if err := checkConfig(config); err != nil {
		return nil, err
	}
	if err := checkTarget(config, group, option); err != nil {
		return nil, err
	}
	var after groups
	err := s.update(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Domains, "domain", domainID, cloud.NotFound); err != nil {
			return err
		}
		had, err := tx.DomainConfigs.Get(domainID)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
		if !has(had.Groups, group, option) {
			return missingConfig(domainID, group, option)
		}
		after = merged(had.Groups, config)
		return tx.DomainConfigs.Put(cloud.DomainConfig{DomainID: domainID, Groups: after})
	})
	return pickConfig(after, "", ""), err
}

// checkTarget wants a change of one group, or one option, to be of that alone.
func checkTarget(config groups, group, option string) error {
	if group == "" {
		return nil
	}
	if err := checkOption(group, option); err != nil {
		return err
	}
	options, ok := config[group]
	switch _, there := options[option]; {
	case len(config) != 1 || !ok:
		return badConfig("Trying to update group %s, so that, and only that, group must be specified in the config.", group)
	case option != "" && (len(options) != 1 || !there):
		return badConfig("Trying to update option %s in group %s, so that, and only that, option must be specified in the config.", option, group)
	}
	return nil
}

// has tells whether a configuration has a group, and an option of it; all have
// the group "".
func has(config groups, group, option string) bool {
	options, ok := config[group]
	if ok && option != "" {
		_, ok = options[option]
	}
	return ok || group == ""
}

// merged lays one configuration over another; neither is changed.
func merged(under, over groups) groups {
	out := groups{}
	for _, config := range []groups{under, over} {
		for group, options := range config {
			if out[group] == nil {
				out[group] = map[string]any{}
			}
			maps.Copy(out[group], options)
		}
	}
	return out
}

// DeleteDomainConfig takes a domain's configuration away, or a group or an option
// of it, which must be there: NotFound.
func (s *Service) DeleteDomainConfig(ctx context.Context, domainID, group, option string) error {
	if err := checkOption(group, option); err != nil {
		return err
	}
	return s.update(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Domains, "domain", domainID, cloud.NotFound); err != nil {
			return err
		}
		had, err := tx.DomainConfigs.Get(domainID)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
		left := merged(had.Groups, nil)
		switch {
		case !has(left, group, option):
			return missingConfig(domainID, group, option)
		case option != "":
			delete(left[group], option)
		case group != "":
			delete(left, group)
		default:
			left = nil
		}
		maps.DeleteFunc(left, func(_ string, options map[string]any) bool { return len(options) == 0 })
		if len(left) > 0 {
			return tx.DomainConfigs.Put(cloud.DomainConfig{DomainID: domainID, Groups: left})
		}
		if err != nil {
			return nil // there was none, and all of nothing is gone
		}
		return tx.DomainConfigs.Delete(domainID)
	})
}

// PasswordRules are the options of the rules of passwords that all may read, of
// the default domain: keystone tells no other's. Forbidden otherwise.
func (s *Service) PasswordRules(domainID, option string) (map[string]any, error) {
	rules := map[string]any{"password_regex": nil, "password_regex_description": nil}
	if c := s.opts.Compliance; c.Regex != nil {
		rules["password_regex"], rules["password_regex_description"] = c.Regex.String(), c.RegexDescription
	}
	switch _, ok := rules[option]; {
	case domainID != cloud.DefaultDomainID:
		return nil, badConfig("Reading security compliance information for any domain other than the default domain is not allowed or supported.")
	case option != "" && !ok:
		return nil, badConfig("Reading security compliance values other than password_regex and password_regex_description is not allowed.")
	}
	if option != "" {
		maps.DeleteFunc(rules, func(o string, _ any) bool { return o != option })
	}
	return rules, nil
}
