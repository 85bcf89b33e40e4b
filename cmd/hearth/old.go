package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// oldTool is a command of long ago, which documents still show.
type oldTool struct {
	name, about string
	verbs       []oldVerb
	takes       string                                     // of a tool without verbs
	do          func(*oldCall) (today []string, err error) // the same
}

// oldVerb does what it did, over the API, and gives the words of today for it.
type oldVerb struct {
	name, takes string
	gone        bool // the clients of today refuse it
	do          func(*oldCall) (today []string, err error)
}

// oldCall is one such command line.
type oldCall struct {
	cmd      *cobra.Command
	ctx      context.Context
	cfg      *config.Config
	in       *os.File
	out      io.Writer
	progress io.Writer
	args     []string // after the verb
	provider *gophercloud.ProviderClient
}

// oldTools are all that Hearth answers to, by 'hearth NAME …' or by a link of
// that name.
func oldTools() []oldTool {
	return []oldTool{oldGlance(), oldCinder(), oldNova(), oldGanetiInstance(), oldHost(), oldVM(), oldImage(), oldDatastore(), oldGanetiImage(), oldMountDisks(), oldUmountDisks()}
}

// newOldTools are the subcommands. They read their own flags: Hearth's settings
// come from the environment or stand before the name.
func newOldTools(cfg *config.Config) []*cobra.Command {
	var all []*cobra.Command
	for _, tool := range oldTools() {
		takes := tool.takes
		if tool.do == nil {
			takes = "COMMAND …"
		}
		all = append(all, &cobra.Command{
			Use: tool.name + " " + takes, Short: tool.about, Long: tool.help(), Hidden: true, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error {
				return tool.run(&oldCall{cmd: cmd, ctx: cmd.Context(), cfg: cfg, in: os.Stdin, out: cmd.OutOrStdout(), progress: cmd.ErrOrStderr(), args: args})
			},
		})
	}
	return all
}

// oldName is the tool that the program was called as, through a link; "" for none.
func oldName(program string) string {
	name := filepath.Base(program)
	if slices.ContainsFunc(oldTools(), func(t oldTool) bool { return t.name == name }) {
		return name
	}
	return ""
}

// newOldNames is 'hearth old-names DIR'.
func newOldNames() *cobra.Command {
	return &cobra.Command{
		Use: "old-names DIRECTORY", Short: "Make links so that command lines of old documents run as they stand", Args: cobra.ExactArgs(1),
		Long: "Make a link to hearth for each command that old documents show. With the directory first in PATH\n" +
			"their command lines run as they stand, and say how it is done today. What the installed client\n" +
			"of the same name still understands goes to it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			for _, tool := range oldTools() {
				link := filepath.Join(args[0], tool.name)
				if at, err := os.Readlink(link); err == nil && at == self {
					continue
				}
				if err := os.Symlink(self, link); err != nil {
					return fmt.Errorf("%w: nothing is replaced", err)
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "export PATH=%s:$PATH\n", quoted(args[0]))
			return nil
		},
	}
}

func (t oldTool) help() string {
	if t.do != nil {
		return fmt.Sprintf("Usage: %s %s\n\n%s\n", t.name, t.takes, t.about)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s. It does these and says how they are done today:\n\n", t.about)
	for _, v := range t.verbs {
		fmt.Fprintf(&b, "  %s %s %s\n", t.name, v.name, v.takes)
	}
	return b.String()
}

// run does the verb, or hands the line to the real client of that name.
func (t oldTool) run(o *oldCall) error {
	if t.do != nil {
		return t.only(o)
	}
	byLink := filepath.Base(os.Args[0]) == t.name
	name := ""
	if len(o.args) > 0 {
		name = o.args[0]
	}
	i := slices.IndexFunc(t.verbs, func(v oldVerb) bool { return v.name == name })
	if i < 0 || byLink && !t.verbs[i].gone {
		if real := realClient(t.name); real != "" {
			return syscall.Exec(real, append([]string{t.name}, o.args...), os.Environ())
		}
	}
	if i < 0 || slices.Contains(o.args, "--help") {
		fmt.Fprint(o.progress, t.help())
		if i < 0 && name != "" && name != "help" && !strings.HasPrefix(name, "-") {
			return fmt.Errorf("%s has no command %s here: 'openstack --help' lists what there is today", t.name, name)
		}
		return nil
	}
	o.args = o.args[1:]
	today, err := t.verbs[i].do(o)
	if len(today) > 0 {
		fmt.Fprintln(o.progress, "today:", command(today))
	}
	return err
}

// only runs a tool without verbs.
func (t oldTool) only(o *oldCall) error {
	if asked := slices.Contains(o.args, "--help") || slices.Contains(o.args, "-h"); asked || len(o.args) == 0 {
		fmt.Fprint(o.progress, t.help())
		if asked {
			return nil
		}
	}
	today, err := t.do(o)
	if len(today) > 0 {
		fmt.Fprintln(o.progress, "today:", command(today))
	}
	return err
}

// realClient finds an installed client of a name that is not this program.
func realClient(name string) string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	me, err := os.Stat(self)
	if err != nil {
		return ""
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 && !os.SameFile(me, info) {
			return path
		}
	}
	return ""
}

// service gives a client of one API: that of the OS_ variables, else of the cloud
// on this machine, as its operator.
func (o *oldCall) service(make func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)) (*gophercloud.ServiceClient, error) {
	var err error
	switch {
	case o.provider != nil:
	case os.Getenv("OS_AUTH_URL") != "":
		o.provider, err = openstack.AuthenticatedClient(o.ctx, oldLogin(os.Getenv))
	default:
		o.provider, err = dial(o.ctx, o.cfg)
	}
	if err != nil {
		return nil, err
	}
	return make(o.provider, gophercloud.EndpointOpts{Region: os.Getenv("OS_REGION_NAME")})
}

// oldLogin reads the OS_ variables of today and those of then: a tenant, no
// domains, an address that ends in v2.0.
func oldLogin(env func(string) string) gophercloud.AuthOptions {
	first := func(names ...string) string {
		for _, n := range names {
			if v := env(n); v != "" {
				return v
			}
		}
		return ""
	}
	url := strings.TrimSuffix(strings.TrimSuffix(env("OS_AUTH_URL"), "/"), "/v2.0")
	if !strings.HasSuffix(url, "/v3") {
		url += "/v3"
	}
	a := gophercloud.AuthOptions{
		IdentityEndpoint: url, AllowReauth: true,
		ApplicationCredentialID: env("OS_APPLICATION_CREDENTIAL_ID"), ApplicationCredentialSecret: env("OS_APPLICATION_CREDENTIAL_SECRET"),
	}
	if a.ApplicationCredentialID != "" {
		return a
	}
	a.Username, a.UserID, a.Password = env("OS_USERNAME"), env("OS_USER_ID"), env("OS_PASSWORD")
	a.TenantName, a.TenantID = first("OS_PROJECT_NAME", "OS_TENANT_NAME"), first("OS_PROJECT_ID", "OS_TENANT_ID")
	if a.TenantID != "" {
		a.TenantName = ""
	}
	a.DomainName, a.DomainID = env("OS_USER_DOMAIN_NAME"), env("OS_USER_DOMAIN_ID")
	if a.DomainID != "" {
		a.DomainName = ""
	} else if a.DomainName == "" && a.UserID == "" {
		a.DomainID = "default"
	}
	return a
}

// refusal makes the sentence of an API out of an error.
func refusal(err error) error {
	var unexpected gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &unexpected) {
		return refused{faultMessage(unexpected.Body), unexpected.Actual}
	}
	return err
}

// refused is what the cloud said, with the status that it said it with.
type refused struct {
	text   string
	status int
}

func (r refused) Error() string { return r.text }
