package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"

	"golang.org/x/term"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/service/identity"
	"hearth/internal/service/network"
)

// bootstrap makes what every cloud has, where it is missing, and gives the
// admin's password if it was made just now. The operator's login is apart: its
// hash takes long, and the APIs need not wait for it.
func (h *head) bootstrap(ctx context.Context) (password string, err error) {
	result, err := h.identity.Bootstrap(ctx, "")
	if err != nil {
		return "", fmt.Errorf("cannot make the first users and projects: %w", err)
	}
	h.first = result
	if err := h.compute.Bootstrap(ctx); err != nil {
		return "", fmt.Errorf("cannot make the first flavors: %w", err)
	}
	if err := h.volume.Bootstrap(ctx); err != nil {
		return "", fmt.Errorf("cannot make the first volume types: %w", err)
	}
	first, err := firstNetworks(h.cfg)
	if err != nil {
		return "", err
	}
	if err := h.network.Bootstrap(ctx, result.AdminProjectID, first); err != nil {
		return "", fmt.Errorf("cannot make the first networks: %w", err)
	}
	return result.AdminPassword, nil
}

// operatorName is the name of the local operator's user.
const operatorName = "operator"

// ensureOperator makes the user whose login openrc prints, unless it is there
// and its password too.
func (h *head) ensureOperator(ctx context.Context) error {
	if op, err := readOperator(h.cfg.Paths()); err == nil {
		if u, err := h.identity.User(ctx, op.UserID); err == nil && u.Enabled {
			return nil
		}
	}
	if err := h.renewOperator(ctx, h.first); err != nil {
		return fmt.Errorf("cannot make the operator's login: %w", err)
	}
	return nil
}

// renewOperator makes the user anew in place of the one there may be. The file
// comes last and names the user by its id: one that was made and whose password
// never reached the file is recognized, and replaced.
func (h *head) renewOperator(ctx context.Context, r identity.Result) error {
	old, err := h.identity.Users(ctx, identity.Filter{Name: operatorName, DomainID: cloud.DefaultDomainID})
	if err != nil {
		return err
	}
	for _, u := range old {
		if err := h.identity.DeleteUser(ctx, u.ID); err != nil {
			return err
		}
	}
	password := identity.NewPassword()
	user, err := h.identity.CreateUser(ctx, cloud.User{
		Name: operatorName, DomainID: cloud.DefaultDomainID, Enabled: true, DefaultProjectID: r.AdminProjectID, Description: "What 'hearth openrc' prints on the head itself",
		// Nobody but the head itself knows the password, so nobody may lock it out.
		Options: map[string]any{identity.IgnoreLockout: true, identity.IgnoreExpiry: true},
	}, "")
	if err != nil {
		return err
	}
	if _, err := h.identity.UpdateUser(ctx, user.ID, identity.UserPatch{Password: &password, Made: true}); err != nil {
		return err
	}
	for _, where := range []cloud.Assignment{{ProjectID: r.AdminProjectID}, {ProjectID: r.DemoProjectID}, {DomainID: cloud.DefaultDomainID}, {System: true}} {
		where.UserID, where.RoleID = user.ID, r.AdminRoleID
		if err := h.identity.Grant(ctx, where); err != nil {
			return err
		}
	}
	return credential{UserID: user.ID, User: user.Name, Password: password, Project: identity.AdminName}.write(h.cfg.Paths())
}

// firstNetworks is what the configuration says of the first networks.
func firstNetworks(cfg *config.Config) (network.First, error) {
	first := network.First{PhysicalNetwork: physicalPublic}
	for _, p := range []struct {
		text string
		into *netip.Prefix
	}{
		{cfg.Network.PublicCIDR, &first.Public}, {cfg.Network.PublicCIDR6, &first.Public6},
		{cfg.Network.PrivateCIDR, &first.Private}, {cfg.Network.PrivateCIDR6, &first.Private6},
	} {
		if p.text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(p.text)
		if err != nil {
			return first, err
		}
		*p.into = prefix
	}
	if first.Public.IsValid() {
		first.PublicGateway = first.Public.Addr().Next()
		first.PublicPool = poolOf(first.Public)
	}
	return first, nil
}

// poolOf leaves the first addresses of a block to the operator, and the last.
func poolOf(p netip.Prefix) cloud.AddressRange {
	hosts := 1<<(32-min(32, p.Bits())) - 1
	return cloud.AddressRange{Start: after(p.Addr(), min(10, max(2, hosts/4))), End: after(p.Addr(), max(2, hosts-5))}
}

func after(a netip.Addr, n int) netip.Addr {
	for range n {
		a = a.Next()
	}
	return a
}

// showPassword shows a fresh password on a terminal. Elsewhere it would end up
// in a log.
func showPassword(out io.Writer, password string) {
	if password == "" {
		return
	}
	if f, ok := out.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		fmt.Fprintln(out, "the admin's password is not shown, since this is no terminal: 'hearth auth reset admin' makes one")
		return
	}
	fmt.Fprintf(out, "the user admin's password, shown once: %s\n", password)
}
