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
// admin's password if it was made just now.
func (h *head) bootstrap(ctx context.Context) (password string, err error) {
	result, err := h.identity.Bootstrap(ctx, "")
	if err != nil {
		return "", fmt.Errorf("cannot make the first users and projects: %w", err)
	}
	if err := h.ensureOperator(ctx, result); err != nil {
		return "", fmt.Errorf("cannot make the operator's credential: %w", err)
	}
	if err := h.compute.Bootstrap(ctx); err != nil {
		return "", fmt.Errorf("cannot make the first flavors: %w", err)
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

// operatorCredential is the name of the local operator's credential.
const operatorCredential = "local-operator"

// ensureOperator makes the credential that openrc prints, unless there is one
// that is still good.
func (h *head) ensureOperator(ctx context.Context, r identity.Result) error {
	dir := h.cfg.Paths()
	if op, err := readOperator(dir); err == nil {
		if _, err := h.identity.AppCred(ctx, r.AdminUserID, op.ID); err == nil {
			return nil
		}
	}
	return h.renewOperator(ctx, r)
}

// renewOperator makes the credential anew in place of the one there may be.
func (h *head) renewOperator(ctx context.Context, r identity.Result) error {
	admin := cloud.Caller{
		UserID: r.AdminUserID, ProjectID: r.AdminProjectID, Roles: []string{cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader},
		RoleIDs: []string{r.AdminRoleID, r.MemberRoleID, r.ReaderRoleID}, Methods: []string{"password"},
	}
	old, err := h.identity.AppCreds(ctx, r.AdminUserID, operatorCredential)
	if err != nil {
		return err
	}
	for _, c := range old {
		if err := h.identity.DeleteAppCred(ctx, admin, r.AdminUserID, c.ID); err != nil {
			return err
		}
	}
	cred, secret, err := h.identity.CreateAppCred(ctx, admin, identity.NewAppCred{
		Name: operatorCredential, Description: "What 'hearth openrc' prints on the head itself", Unrestricted: true,
	})
	if err != nil {
		return err
	}
	return credential{ID: cred.ID, Secret: secret}.write(h.cfg.Paths())
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
