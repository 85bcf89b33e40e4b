package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/openstack/wire"
)

//go:generate go run . routes --covered ../../docs/conformance.tsv --out ../../docs/compatibility.md

// newRoutes is 'hearth routes': the compatibility matrix, made from the route
// tables and from what the last conformance run covered.
func newRoutes(cfg *config.Config) *cobra.Command {
	var covered, out string
	cmd := &cobra.Command{
		Use: "routes", Short: "Print every route of every API with its policy", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tests, err := readCovered(covered)
			if err != nil {
				return err
			}
			apis := (&head{cfg: cfg}).apis()
			if problems := wire.Check(apis); len(problems) > 0 {
				return fmt.Errorf("the route tables are broken:\n  %s", strings.Join(problems, "\n  "))
			}
			if out == "" {
				return writeRoutes(cmd.OutOrStdout(), apis, tests)
			}
			f, err := os.Create(out)
			if err != nil {
				return err
			}
			defer f.Close()
			return writeRoutes(f, apis, tests)
		},
	}
	cmd.Flags().StringVar(&covered, "covered", "", "file with the routes that outside tests cover: METHOD, PATH and the test, separated by tabs")
	cmd.Flags().StringVar(&out, "out", "", "file to write")
	return cmd
}

// readCovered reads which outside test passes through a route.
func readCovered(path string) (map[string]string, error) {
	tests := map[string]string{}
	if path == "" {
		return tests, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) == 3 {
			tests[fields[0]+" "+fields[1]] = fields[2]
		}
	}
	return tests, lines.Err()
}

// writeRoutes writes the matrix.
func writeRoutes(w io.Writer, apis []wire.API, tests map[string]string) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "# Compatibility\n\nGenerated from the route tables by `go generate ./...`; do not edit. A route counts as supported when a client or suite from\n"+
		"outside passes through it: the last column names one. What is not listed is answered with 404, as OpenStack does.\n")
	for _, api := range apis {
		fmt.Fprintf(b, "\n## %s\n\n", api.Name)
		if v := api.Versions; v.Max != (wire.Version{}) {
			fmt.Fprintf(b, "Microversions %s to %s.\n\n", v.Min, v.Max)
		}
		fmt.Fprint(b, "| route | policy | who | microversions | shown by |\n|---|---|---|---|---|\n")
		for _, r := range api.Routes {
			path := api.Prefix + r.Path
			fmt.Fprintf(b, "| `%s %s` | %s | %s | %s | %s |\n", r.Method, path, r.Policy.Name, r.Policy.Rule.Name, span(r), tests[r.Method+" "+path])
		}
	}
	return b.Flush()
}

// span is the range of microversions that have a route.
func span(r wire.Route) string {
	none := wire.Version{}
	switch {
	case r.Min == none && r.Max == none:
		return "all"
	case r.Max == none:
		return "from " + r.Min.String()
	case r.Min == none:
		return "to " + r.Max.String()
	}
	return r.Min.String() + " to " + r.Max.String()
}
