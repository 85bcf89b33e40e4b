package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"hearth/internal/config"
)

// newOpenrc is 'hearth openrc': source <(hearth openrc).
func newOpenrc(cfg *config.Config) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "openrc", Short: "Print what to source so that OpenStack's clients reach this cloud", Args: cobra.NoArgs,
		Long: "Print shell variables for OpenStack's clients:\n\n  source <(hearth openrc)\n\n" +
			"They carry the local operator's own name and password. With --user they name a user and\n" +
			"project instead and ask for the password.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			common := fmt.Sprintf("for v in ${!OS_*}; do unset \"$v\"; done\nexport OS_AUTH_URL=%s/v3\nexport OS_IDENTITY_API_VERSION=3\nexport OS_REGION_NAME=%s\n", baseURL(cfg), cfg.Region)
			if user != "" {
				fmt.Fprint(out, common, passwordRC(user))
				return nil
			}
			op, err := readOperator(cfg.Paths())
			if err != nil {
				return err
			}
			fmt.Fprint(out, common)
			for _, v := range [][2]string{{"USERNAME", op.User}, {"PASSWORD", op.Password}, {"PROJECT_NAME", op.Project}, {"USER_DOMAIN_NAME", "Default"}, {"PROJECT_DOMAIN_NAME", "Default"}} {
				fmt.Fprintf(out, "export OS_%s=%s\n", v[0], v[1])
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "log in as this user of the domain Default, in the project of the same name, with a password")
	return cmd
}

// passwordRC is the part of an openrc that asks for a password.
func passwordRC(user string) string {
	return fmt.Sprintf(`export OS_USERNAME=%[1]q OS_PROJECT_NAME=%[1]q OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default
read -rsp "Password of %[1]s: " OS_PASSWORD; echo
export OS_PASSWORD
`, user)
}

// newCloudsYAML is 'hearth clouds-yaml'.
func newCloudsYAML(cfg *config.Config) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "clouds-yaml", Short: "Print a clouds.yaml for this cloud", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			op, err := readOperator(cfg.Paths())
			if err != nil {
				return err
			}
			body, err := yaml.Marshal(map[string]any{"clouds": map[string]any{name: map[string]any{
				"region_name": cfg.Region, "identity_api_version": 3, "interface": "public",
				"auth": map[string]any{
					"auth_url": baseURL(cfg) + "/v3", "username": op.User, "password": op.Password, "project_name": op.Project,
					"user_domain_name": "Default", "project_domain_name": "Default",
				},
			}}})
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(body)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "cloud", "hearth", "name of the cloud in the file")
	return cmd
}
