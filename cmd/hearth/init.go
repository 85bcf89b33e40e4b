package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/service/identity"
)

// newInit is 'hearth init': makes the cloud's first things without starting it.
func newInit(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the cloud's admin, projects, flavors and networks, if they are missing, and prove a login", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := initialize(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if password != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "the user admin's password, shown once: %s\n", password)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the cloud in %s is ready for 'hearth up'; a login as admin was proven\n", cfg.Data)
			return nil
		},
	}
}

// initialize bootstraps the cloud of a data directory that no process holds, or
// that one holds already: then it is there. It ends with a login.
func initialize(ctx context.Context, cfg *config.Config) (password string, err error) {
	if running(cfg.Paths()) {
		return "", proveLogin(ctx, cfg)
	}
	err = withHead(ctx, cfg, func(h *head) error {
		if password, err = h.bootstrap(ctx); err != nil {
			return err
		}
		if err := h.ensureOperator(ctx); err != nil {
			return err
		}
		return h.proveLogin(ctx)
	})
	return password, err
}

// withHead opens the head of a data directory that no process holds, for do.
func withHead(ctx context.Context, cfg *config.Config, do func(*head) error) error {
	lock, err := lockData(cfg.Paths())
	if err != nil {
		return err
	}
	defer lock.Close()
	h, err := openHead(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer h.close()
	return do(h)
}

// proveLogin logs in as the operator, and so shows that logins work.
func (h *head) proveLogin(ctx context.Context) error {
	op, err := readOperator(h.cfg.Paths())
	if err != nil {
		return err
	}
	_, _, err = h.identity.Login(ctx, identity.Login{
		Password: &identity.PasswordLogin{User: identity.UserRef{ID: op.UserID}, Password: op.Password},
		Scope:    identity.Scope{Project: &identity.ProjectRef{Name: op.Project, Domain: identity.DomainRef{ID: cloud.DefaultDomainID}}},
	})
	return err
}

// proveLogin does the same at a running cloud.
func proveLogin(ctx context.Context, cfg *config.Config) error {
	_, err := dial(ctx, cfg)
	return err
}

// resetAdmin mends the admin in the database: through the process that holds
// it, if there is one.
func resetAdmin(ctx context.Context, cfg *config.Config) (password string, err error) {
	if running(cfg.Paths()) {
		return askReset(ctx, cfg)
	}
	err = withHead(ctx, cfg, func(h *head) error {
		password, err = h.resetAdmin(ctx)
		return err
	})
	return password, err
}

func (h *head) resetAdmin(ctx context.Context) (string, error) {
	password, err := h.identity.ResetAdmin(ctx)
	if err != nil {
		return "", err
	}
	result, err := h.identity.Bootstrap(ctx, "")
	if err != nil {
		return "", err
	}
	return password, h.renewOperator(ctx, result)
}
