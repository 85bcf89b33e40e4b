package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

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
	lock, err := lockData(cfg.Paths())
	if err != nil {
		return "", err
	}
	defer lock.Close()
	h, err := openHead(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer h.close()
	if password, err = h.bootstrap(ctx); err != nil {
		return "", err
	}
	return password, h.proveLogin(ctx)
}

// proveLogin logs in with the operator's credential, and so shows that the
// admin is recognized.
func (h *head) proveLogin(ctx context.Context) error {
	op, err := readOperator(h.cfg.Paths())
	if err != nil {
		return err
	}
	_, _, err = h.identity.Login(ctx, identity.Login{AppCred: &identity.AppCredLogin{ID: op.ID, Secret: op.Secret}})
	return err
}

// proveLogin does the same at a running cloud.
func proveLogin(ctx context.Context, cfg *config.Config) error {
	_, err := dial(ctx, cfg)
	return err
}

// resetAdmin mends the admin in the database, beside a running cloud or not.
func resetAdmin(ctx context.Context, cfg *config.Config) (string, error) {
	h, err := openHead(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer h.close()
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
