// Package metadata answers what an instance asks about itself at
// 169.254.169.254, in EC2's words and in OpenStack's, and writes the same onto
// its config drive. Render is pure; Server puts HTTP around it.
//
// Sources: the EC2 user guide ("Instance metadata and user data", IMDSv1 and
// v2), nova's metadata service documentation, and what cloud-init 22.4 was seen
// to ask (see the test's walk).
package metadata

import (
	"sort"
	"strings"
)

// Tree is all that an instance may read: files by their path below a version,
// such as "meta-data/instance-id" in EC2 and "meta_data.json" in OpenStack.
type Tree struct {
	EC2 map[string][]byte
	// KeyNames are the names that the list of public-keys shows after the index.
	KeyNames []string
	// OpenStack has the files of each of OpenStackVersions, and of "latest".
	OpenStack map[string]map[string][]byte
	// Content are the files of openstack/content, which no list names.
	Content map[string][]byte
}

// EC2Versions are the versions of EC2's metadata that are served, all with the
// same content.
var EC2Versions = []string{
	"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04",
	"2011-01-01", "2014-11-05", "2016-09-02", "2018-09-24", "2021-03-23", "latest",
}

// OpenStackVersions are the versions of OpenStack's metadata, oldest first.
var OpenStackVersions = []string{
	"2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27", "2020-10-14", "latest",
}

// maxPath bounds what is looked up (bytes).
const maxPath = 512

// Lookup finds the file or the list at a URL path. Lists are by lines, with a
// slash after directories as EC2 has them. False when there is nothing.
func (t Tree) Lookup(path string) ([]byte, bool) {
	if len(path) > maxPath {
		return nil, false
	}
	parts := split(path)
	if len(parts) == 0 {
		return lines(EC2Versions), true
	}
	if parts[0] == "openstack" {
		return t.openStack(parts[1:])
	}
	if !contains(EC2Versions, parts[0]) {
		return nil, false
	}
	return t.ec2(strings.Join(parts[1:], "/"))
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

func (t Tree) openStack(parts []string) ([]byte, bool) {
	if len(parts) == 0 {
		return lines(OpenStackVersions), true
	}
	files, ok := t.OpenStack[parts[0]]
	if parts[0] == "content" {
		files, ok = t.Content, len(parts) == 2
	}
	if !ok || len(parts) > 2 {
		return nil, false
	}
	if len(parts) == 2 {
		body, ok := files[parts[1]]
		return body, ok
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	return lines(names), true
}

func (t Tree) ec2(path string) ([]byte, bool) {
	if body, ok := t.EC2[path]; ok {
		return body, true
	}
	prefix := path + "/"
	if path == "" {
		prefix = ""
	}
	found := map[string]bool{}
	for name := range t.EC2 {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		child, _, deeper := strings.Cut(rest, "/")
		if deeper {
			child += "/"
		}
		found[child] = true
	}
	if len(found) == 0 {
		return nil, false
	}
	if path == "meta-data/public-keys" {
		return t.keyList(), true
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return lines(names), true
}

// keyList is the one list with something else than names: "0=my-key".
func (t Tree) keyList() []byte {
	var names []string
	for i, name := range t.KeyNames {
		names = append(names, itoa(i)+"="+name)
	}
	return lines(names)
}

func lines(names []string) []byte { return []byte(strings.Join(names, "\n")) }

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
