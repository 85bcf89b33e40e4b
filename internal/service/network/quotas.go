package network

import (
	"context"
	"maps"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// quotaService is the service's name in the quotas table.
const quotaService = "network"

// defaultProject stands for all projects in the quotas table.
const defaultProject = "default:" + quotaService

// QuotaUse is a limit with what is used of it.
type QuotaUse struct{ Limit, Used int }

// limits are what a project may have: its own limits, over the defaults.
func limits(tx *store.Tx, projectID string) (map[string]int, error) {
	out := cloud.DefaultQuota(quotaService)
	for _, id := range []string{defaultProject, projectID} {
		q, err := tx.Quotas.Get(cloud.Quota{Service: quotaService, ProjectID: id}.Key())
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return nil, err
		}
		maps.Copy(out, q.Limits)
	}
	return out, nil
}

// used counts what a project has of a resource: rows, nothing stored.
func used(tx *store.Tx, projectID, resource string) (int, error) {
	own := store.Eq("project_id", projectID)
	switch resource {
	case "network":
		return tx.Networks.Count(own)
	case "subnet":
		return tx.Subnets.Count(own)
	case "port":
		return tx.Ports.Count(own)
	case "router":
		return tx.Routers.Count(own)
	case "floatingip":
		return tx.FloatingIPs.Count(own)
	case "trunk":
		return tx.Trunks.Count(own)
	case "subnetpool":
		return tx.SubnetPools.Count(own)
	case "rbac_policy":
		return tx.RBACPolicies.Count(own)
	case "security_group":
		return tx.SecurityGroups.Count(own)
	case "security_group_rule":
		return tx.SecurityRules.Count(own)
	}
	return 0, nil // of what this cloud has none
}

// checkQuota refuses when adding would be over a project's limit.
func checkQuota(tx *store.Tx, projectID, resource string, adding int) error {
	limit, err := limits(tx, projectID)
	if err != nil || limit[resource] < 0 {
		return err
	}
	n, err := used(tx, projectID, resource)
	if err == nil && n+adding > limit[resource] {
		err = conflict("OverQuota", "Quota exceeded for resources: ['%s'].", resource)
	}
	return err
}

// Quota gives a project's limits.
func (s *Service) Quota(ctx context.Context, c cloud.Caller, projectID string) (map[string]int, error) {
	return view(ctx, s, func(tx *store.Tx) (map[string]int, error) {
		if !c.Owns(projectID) {
			return nil, forbidden("rule:get_quota")
		}
		return limits(tx, projectID)
	})
}

// DefaultQuota gives the limits of a project with none of its own.
func (s *Service) DefaultQuota(ctx context.Context, c cloud.Caller, projectID string) (map[string]int, error) {
	return view(ctx, s, func(tx *store.Tx) (map[string]int, error) {
		if !c.Owns(projectID) {
			return nil, forbidden("rule:get_quota")
		}
		return limits(tx, "")
	})
}

// QuotaDetails gives a project's limits with what is used of them now.
func (s *Service) QuotaDetails(ctx context.Context, c cloud.Caller, projectID string) (map[string]QuotaUse, error) {
	return view(ctx, s, func(tx *store.Tx) (map[string]QuotaUse, error) {
		if !c.Owns(projectID) {
			return nil, forbidden("rule:get_quota")
		}
		limit, err := limits(tx, projectID)
		if err != nil {
			return nil, err
		}
		out := map[string]QuotaUse{}
		for resource, l := range limit {
			n, err := used(tx, projectID, resource)
			if err != nil {
				return nil, err
			}
			out[resource] = QuotaUse{Limit: l, Used: n}
		}
		return out, nil
	})
}

// ListQuotas gives the limits of the projects that have some of their own.
func (s *Service) ListQuotas(ctx context.Context) (map[string]map[string]int, error) {
	return view(ctx, s, func(tx *store.Tx) (map[string]map[string]int, error) {
		rows, err := tx.Quotas.List(store.Where(store.Eq("service", quotaService), store.Ne("project_id", defaultProject)))
		if err != nil {
			return nil, err
		}
		out := map[string]map[string]int{}
		for _, q := range rows {
			if out[q.ProjectID], err = limits(tx, q.ProjectID); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// SetQuota changes limits of a project; those not named stay.
func (s *Service) SetQuota(ctx context.Context, projectID string, changes map[string]int) (map[string]int, error) {
	known := cloud.DefaultQuota(quotaService)
	for _, resource := range slices.Sorted(maps.Keys(changes)) {
		if _, ok := known[resource]; !ok {
			return nil, refuse(cloud.Invalid, "HTTPBadRequest", "Unrecognized attribute(s) '%s'", resource)
		}
		if v := changes[resource]; v < -1 || v > 0x7fffffff {
			return nil, refuse(cloud.Invalid, "HTTPBadRequest", "Invalid input for %s. Reason: '%d' is not in valid range '-1' through '2147483647'.", resource, v)
		}
	}
	return update(ctx, s, func(tx *store.Tx) (map[string]int, error) {
		q, err := tx.Quotas.Get(cloud.Quota{Service: quotaService, ProjectID: projectID}.Key())
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return nil, err
		}
		merged := maps.Clone(q.Limits)
		if merged == nil {
			merged = map[string]int{}
		}
		maps.Copy(merged, changes)
		if err := tx.Quotas.Put(cloud.Quota{Service: quotaService, ProjectID: projectID, Limits: merged}); err != nil {
			return nil, err
		}
		return limits(tx, projectID)
	})
}

// ResetQuota gives a project the default limits again.
func (s *Service) ResetQuota(ctx context.Context, projectID string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		err := tx.Quotas.Delete(cloud.Quota{Service: quotaService, ProjectID: projectID}.Key())
		if cloud.Is(err, cloud.NotFound) {
			return refuse(cloud.NotFound, "TenantQuotaNotFound", "Quota for tenant %s could not be found.", projectID)
		}
		return err
	})
}
