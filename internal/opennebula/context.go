package opennebula

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// source is a template with the name of its file.
type source struct {
	file string
	Template
}

// variable is one of a CONTEXT: $NAME, $NAME[ATTRIBUTE] or $NAME[ATTRIBUTE, KEY=VALUE], as OpenNebula's
// src/parsers/vm_var_parser.l has them. What a backslash is before is none.
var variable = regexp.MustCompile(`(?s)\\.|\$(\w+)(?:\[[ \t]*(\w+)(?:[ \t]*,[ \t]*(\w+)[ \t]*=[ \t]*(?:"([^"]*)"|([[:alnum:]]+)))?[ \t]*\])?`)

// contexts makes metadata of the machines' CONTEXT, when all files were read. Variables that the files
// tell are put in. Those that only an OpenNebula knows (VMID, UNAME, the addresses it leases …) stay as
// they stand, which a note tells: there, what is unknown becomes nothing at all.
func (p *Plan) contexts() error {
	for n, from := range p.machines {
		for _, c := range from.Vectors("CONTEXT") {
			for _, a := range c {
				put := 0 // bytes
				value := variable.ReplaceAllStringFunc(a.Value, func(word string) string {
					if word[0] != '$' {
						return word
					}
					text, known := p.variable(from.Template, variable.FindStringSubmatch(word))
					if !known {
						p.note(from.file, "CONTEXT %s: %s stays as it stands: these files do not tell what it is", a.Name, word)
						return word
					}
					if put += len(text); put > maxText { // which is refused below, before it fills the memory
						return word
					}
					return text
				})
				if n := utf8.RuneCountInString(value); n > maxMetadata {
					return fmt.Errorf("%s: CONTEXT %s has %d characters, and metadata of a server at most %d: take it out of the template; a key for ssh is given to the server by 'openstack server rebuild --key-name', other texts by --user-data", from.file, a.Name, n, maxMetadata)
				}
				p.Machines[n].Metadata[strings.ToLower(a.Name)] = value
			}
		}
	}
	return nil
}

// variable is what the files tell of a variable, by the parts of it.
func (p *Plan) variable(machine Template, part []string) (value string, known bool) {
	name, attribute, key, match := strings.ToUpper(part[1]), strings.ToUpper(part[2]), strings.ToUpper(part[3]), part[4]+part[5]
	if attribute == "" {
		return machine.single(name)
	}
	if name == "IMAGE" {
		for n, i := range p.images {
			if key == "IMAGE_ID" && match == strconv.Itoa(n) || key == "IMAGE" && match == i.Get("NAME") {
				return i.single(attribute)
			}
		}
		return "", false
	}
	for _, v := range machine.Vectors(name) {
		if key == "" || v.Get(key) == match {
			return v.single(attribute)
		}
	}
	return "", false
}

// single is the value of a name that is no vector.
func (t Template) single(name string) (value string, there bool) {
	for _, a := range t {
		if a.Name == name && a.Vector == nil {
			value, there = a.Value, true
		}
	}
	return value, there
}
