package network

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Tagged names the collections whose members have tags.
var Tagged = []string{"networks", "subnets", "ports", "routers", "floatingips", "security-groups", "subnetpools", "qos/policies", "policies", "trunks"}

// maxTag is the length of a tag, characters.
const maxTag = 60

// Tags gives the tags of a member of a collection.
func (s *Service) Tags(ctx context.Context, c cloud.Caller, collection, id string) ([]string, error) {
	return view(ctx, s, func(tx *store.Tx) ([]string, error) {
		return s.retag(tx, c, collection, id, nil)
	})
}

// SetTags replaces all tags.
func (s *Service) SetTags(ctx context.Context, c cloud.Caller, collection, id string, tags []string) ([]string, error) {
	for _, t := range tags {
		if err := checkTag(t); err != nil {
			return nil, err
		}
	}
	return s.changeTags(ctx, c, collection, id, func([]string) ([]string, error) {
		sorted := slices.Clone(tags)
		slices.Sort(sorted)
		return slices.Compact(sorted), nil
	})
}

// AddTag adds a tag; one that is there already stays.
func (s *Service) AddTag(ctx context.Context, c cloud.Caller, collection, id, tag string) ([]string, error) {
	if err := checkTag(tag); err != nil {
		return nil, err
	}
	return s.changeTags(ctx, c, collection, id, func(tags []string) ([]string, error) {
		if slices.Contains(tags, tag) {
			return tags, nil
		}
		return append(slices.Clone(tags), tag), nil
	})
}

// RemoveTag removes a tag that is there.
func (s *Service) RemoveTag(ctx context.Context, c cloud.Caller, collection, id, tag string) error {
	_, err := s.changeTags(ctx, c, collection, id, func(tags []string) ([]string, error) {
		if !slices.Contains(tags, tag) {
			return nil, NoTag(tag)
		}
		return without(tags, tag), nil
	})
	return err
}

// NoTag refuses a tag that is not there.
func NoTag(tag string) error {
	return refuse(cloud.NotFound, "TagNotFound", "Tag %s could not be found.", tag)
}

func checkTag(tag string) error {
	if n := len([]rune(tag)); n == 0 || n > maxTag {
		return invalid("'%s' is not a tag: it has %d characters and must have 1 to %d", tag, n, maxTag)
	}
	return nil
}

func (s *Service) changeTags(ctx context.Context, c cloud.Caller, collection, id string, change func([]string) ([]string, error)) ([]string, error) {
	return update(ctx, s, func(tx *store.Tx) ([]string, error) { return s.retag(tx, c, collection, id, change) })
}

// retag reads the tags of a resource and, with a change, writes them anew.
func (s *Service) retag(tx *store.Tx, c cloud.Caller, collection, id string, change func([]string) ([]string, error)) ([]string, error) {
	now := s.clock.Now()
	switch collection {
	case "networks":
		v, err := seeNetwork(tx, c, id)
		if err == nil && change != nil {
			v, err = ownNetwork(tx, c, id, "update_networks_tags")
		}
		return apply(tx.Networks, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	case "subnets":
		v, err := seeSubnet(tx, c, id)
		if err == nil && change != nil {
			v, err = ownSubnet(tx, c, id, "update_subnets_tags")
		}
		return apply(tx.Subnets, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	case "ports":
		v, err := seePort(tx, c, id)
		return apply(tx.Ports, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	case "routers":
		v, err := ownRouter(tx, c, id)
		return apply(tx.Routers, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	case "floatingips":
		v, err := ownFloatingIP(tx, c, id)
		return apply(tx.FloatingIPs, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	case "security-groups":
		v, err := ownGroup(tx, c, id)
		return apply(tx.SecurityGroups, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	case "subnetpools":
		v, err := seePool(tx, c, id)
		if err == nil && change != nil {
			v, err = ownPool(tx, c, id, "update_subnetpools_tags")
		}
		return apply(tx.SubnetPools, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	}
	if collection == "trunks" {
		v, err := ownTrunk(tx, c, id)
		return apply(tx.Trunks, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	}
	if collection == "qos/policies" || collection == "policies" { // neutron itself has them at the latter
		v, err := seeQoS(tx, c, id)
		if err == nil && change != nil && !c.Owns(v.ProjectID) {
			err = forbidden("rule:update_policies_tags")
		}
		return apply(tx.QoSPolicies, &v, err, &v.Tags, change, func() { v.UpdatedAt, v.Revision = now, v.Revision+1 })
	}
	return nil, refuse(cloud.NotFound, "HTTPNotFound", "The resource could not be found.")
}

func apply[T any](table *store.Table[T], row *T, err error, tags *[]string, change func([]string) ([]string, error), touch func()) ([]string, error) {
	if err != nil || change == nil {
		return *tags, err
	}
	if *tags, err = change(*tags); err != nil {
		return nil, err
	}
	touch()
	return *tags, table.Update(*row)
}
