package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// run runs the command line. A command that was not said as it is used is told so, with what to read.
func run(ctx context.Context, root *cobra.Command, args []string) error {
	if err := strayVerb(root, args); err != nil {
		return err
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return misused(cmd, err)
}

// strayVerb refuses a word after a command that only has others below it, and not this one: of
// these cobra shows the help and ends well, so that a script with a slip would go on.
func strayVerb(root *cobra.Command, args []string) error {
	cmd, rest, err := root.Find(args)
	if err != nil || cmd.Runnable() || !cmd.HasParent() || cmd.ParseFlags(rest) != nil || cmd.Flags().NArg() == 0 {
		return nil
	}
	verb := cmd.Flags().Arg(0)
	text := fmt.Sprintf("there is no '%s %s'", cmd.CommandPath(), verb)
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(verb); len(like) > 0 {
		text += "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return fmt.Errorf("%s ('%s --help' lists what there is)", text, cmd.CommandPath())
}

// Of cobra's and pflag's own errors those that say nothing of what to do.
var (
	miscounted = regexp.MustCompile(`^(?:accepts|requires at least|accepts at most|accepts between) .* arg\(s\),? (?:.*)received (\d+)$|^requires at least .* only received (\d+)$`)
	unfit      = regexp.MustCompile(`^(unknown flag: |unknown shorthand flag: |flag needs an argument: |required flag\(s\) |invalid argument |if any flags in the group |at least one of the flags |if any flags )`)
)

// misused says how a command is used, if it was not used so.
func misused(cmd *cobra.Command, err error) error {
	if err == nil || cmd == nil {
		return err
	}
	path := cmd.CommandPath()
	switch text := err.Error(); {
	case miscounted.MatchString(text):
		m := miscounted.FindStringSubmatch(text)
		return fmt.Errorf("it is '%s', but %s arguments were given ('%s --help' says more)", strings.TrimSuffix(cmd.UseLine(), " [flags]"), m[1]+m[2], path)
	case unfit.MatchString(text):
		return fmt.Errorf("%w ('%s --help' lists what it takes)", err, path)
	case cmd.HasParent() && strings.HasPrefix(text, "unknown command ") && !cmd.HasAvailableSubCommands():
		return errors.New(strings.Replace(text, "unknown command", "no argument belongs here:", 1) + " ('" + path + " --help' lists what it takes)")
	}
	return err
}
