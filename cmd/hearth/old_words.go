package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// oldLine is a command line taken apart.
type oldLine struct {
	options map[string][]string // by their name without dashes; - for _
	words   []string
}

// parseOld takes a line apart. Options stand anywhere, as --name value or
// --name=value, or as -xVALUE if their name is a letter; those in flags take no value.
// One that is in neither list is refused: what it meant would be lost.
func parseOld(args, takes, flags []string) (oldLine, error) {
	l := oldLine{options: map[string][]string{}}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if len(arg) < 2 || arg[0] != '-' {
			l.words = append(l.words, arg)
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		name = strings.ReplaceAll(name, "_", "-")
		if letter := arg[1:2]; arg[1] != '-' && len(arg) > 2 && !slices.Contains(takes, name) && !slices.Contains(flags, name) && slices.Contains(takes, letter) {
			name, value, has = letter, arg[2:], true // as getopts of a shell has it
		}
		switch {
		case slices.Contains(flags, name):
			value = "true"
		case !slices.Contains(takes, name):
			return l, fmt.Errorf("the option %s is not known here", arg)
		case !has && len(args) == 0:
			return l, fmt.Errorf("the option %s wants a value", arg)
		case !has:
			value, args = args[0], args[1:]
		}
		l.options[name] = append(l.options[name], value)
	}
	return l, nil
}

// first is the value of the first of some names that is there.
func (l oldLine) first(names ...string) string {
	for _, n := range names {
		if v := l.options[n]; len(v) > 0 {
			return v[len(v)-1]
		}
	}
	return ""
}

// one is the only word, called what.
func (l oldLine) one(what string) (string, error) {
	if len(l.words) != 1 {
		return "", fmt.Errorf("name one %s, not %d", what, len(l.words))
	}
	return l.words[0], nil
}

// pairs reads words like key=value.
func pairs(words []string) ([][2]string, error) {
	var out [][2]string
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not of the form key=value", w)
		}
		out = append(out, [2]string{key, value})
	}
	return out, nil
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// command is a line for a shell.
func command(words []string) string {
	line := make([]string, len(words))
	for i, w := range words {
		line[i] = quoted(w)
	}
	return strings.Join(line, " ")
}

// columns prints a table under a heading.
func columns(w io.Writer, heading string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(heading, " ", "\t"))
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	return tw.Flush()
}

// box prints properties as the clients always did.
func box(w io.Writer, rows [][2]string) {
	left, right := len("Property"), len("Value")
	for _, r := range rows {
		left, right = max(left, len(r[0])), max(right, len(r[1]))
	}
	line := "+" + strings.Repeat("-", left+2) + "+" + strings.Repeat("-", right+2) + "+"
	fmt.Fprintf(w, "%s\n| %-*s | %-*s |\n%s\n", line, left, "Property", right, "Value", line)
	for _, r := range rows {
		fmt.Fprintf(w, "| %-*s | %-*s |\n", left, r[0], right, r[1])
	}
	fmt.Fprintln(w, line)
}

// say is a verb that is not done but told.
func say(name, takes string, today ...string) oldVerb {
	return oldVerb{name: name, takes: takes, gone: true, do: func(*oldCall) ([]string, error) {
		return today, fmt.Errorf("%s is done otherwise today, and nothing was done now", name)
	}}
}
