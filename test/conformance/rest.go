package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// why says, of Tempest's reason for a skip, what it is in this cloud that keeps the
// test from running. One that no line knows shows in the table without a word.
var why = []struct {
	reason *regexp.Regexp
	text   string
}{
	{regexp.MustCompile(`(?i)live.migration|Cold migration|Less than 2 compute nodes`), "needs two hosts: the suite's cloud is one process on one host"},
	{regexp.MustCompile(`Validation (must|should) be enabled|Instance validation tests are disabled`), "logs into guests by ssh: the fake driver's guests run nothing. The modes ssh and scenario have real ones"},
	{regexp.MustCompile(`neutron is available|nova-network|Neutron (does not|allows)`), "is for clouds with nova-network in place of neutron; neutron's own rules are tested elsewhere in the suite"},
	{regexp.MustCompile(`Glance API v1`), "glance has had no version 1 since 2018 (Rocky)"},
	{regexp.MustCompile(`launchpad\.net/bugs`), "the suite itself leaves it out, for a bug of nova-network's time"},
	{regexp.MustCompile(`Nova cert`), "nova has had no certificates since 2017 (Newton was the last)"},
	{regexp.MustCompile(`certified_image_ref`), "signatures of images are not verified here, and a request that asks for it is refused"},
	{regexp.MustCompile(`show_multiple_locations`), "locations of images are not shown nor set: glance itself advises against it (OSSN-0065)"},
	{regexp.MustCompile(`image_remote`), "needs two image services with stages of their own; one process is all of them"},
	{regexp.MustCompile(`only one store|No stores configured|multistore`), "the image service has one store"},
	{regexp.MustCompile(`glance caching`), "the test wants to see an image in the queue before it is cached; nodes fetch it at once, here within 2 ms. /v2/cache itself is served (unit tests, ADR 0144)"},
	{regexp.MustCompile(`multi-backend`), "a host has one storage backend"},
	{regexp.MustCompile(`(?i)dvr`), "distributed routers need several hosts"},
	{regexp.MustCompile(`dhcp_agent_scheduler`), "every host serves DHCP to its own guests: there are no agents to move networks between"},
	{regexp.MustCompile(`metering`), "traffic is not metered by label"},
	{regexp.MustCompile(`Found shared networks`), "is for clouds without a shared network; this one begins with one (private)"},
}

// mentioned shortens a reason that quotes the cloud.
var mentioned = regexp.MustCompile(`: \[\{.*`)

// restOf is the table of what was skipped, in order.
func restOf(mode string, v verdict, results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What Tempest does not run here\n\nWritten by `scripts/conformance -rest` from a run of the mode %s: %d passed, %d failed, %d skipped. One line is a\n"+
		"reason of Tempest's own; a class that is skipped whole counts once, as in its output.\n\n| skipped | Tempest says | because |\n|---|---|---|\n", mode, v.passed, v.failed, v.skipped)
	groups := map[string][]string{}
	for reason, tests := range groupSkips(results) {
		reason = mentioned.ReplaceAllString(reason, "")
		groups[reason] = append(groups[reason], tests...)
	}
	for _, reason := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", testsOf(groups[reason]), strings.ReplaceAll(reason, "|", "\\|"), becauseOf(reason))
	}
	return b.String()
}

func becauseOf(reason string) string {
	for _, w := range why {
		if w.reason.MatchString(reason) {
			return w.text
		}
	}
	return ""
}

// testsOf names tests by their last two parts, and classes by their name.
func testsOf(names []string) string {
	var short []string
	for _, name := range names {
		if class := classOf(name); class != "" {
			short = append(short, class[strings.LastIndex(class, ".")+1:])
			continue
		}
		parts := strings.Split(bare(name), ".")
		short = append(short, strings.Join(parts[max(0, len(parts)-2):], "."))
	}
	slices.Sort(short)
	return strings.Join(slices.Compact(short), ", ")
}

// writeRest writes the table.
func writeRest(path, mode string, v verdict, results []result) error {
	return os.WriteFile(path, []byte(restOf(mode, v, results)), 0o644)
}
