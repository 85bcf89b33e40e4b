package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newAuth is 'hearth auth'.
func newAuth(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Mend and explain logins"}
	cmd.AddCommand(newAuthReset(cfg), newAuthExplain(cfg))
	return cmd
}

// newAuthReset is 'hearth auth reset admin': works on the database itself, with
// the cloud running or not, for whoever may read the data directory.
func newAuthReset(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "reset admin", Short: "Give the admin a new password and mend its roles and the operator's credential", Args: cobra.ExactArgs(1), ValidArgs: []string{"admin"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "admin" {
				return fmt.Errorf("only the user admin is reset here; for others: openstack user set --password-prompt %s", args[0])
			}
			password, err := resetAdmin(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "admin's new password, shown once: %s\n", password)
			return nil
		},
	}
}

// newAuthExplain is 'hearth auth explain'.
func newAuthExplain(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "explain", Short: "Tell why logins failed of late", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct{ Failures []string }
			if err := ask(cmd.Context(), cfg, "/logins", &answer); err != nil {
				return err
			}
			for _, f := range answer.Failures {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if len(answer.Failures) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no login has failed since the cloud started")
			}
			return nil
		},
	}
}
