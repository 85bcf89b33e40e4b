package bake

import (
	"bytes"
	"debug/elf"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
)

// modules is a kernel's drivers by their name ("-" as "_").
type modules map[string][]byte

func newModules(files map[string][]byte) modules {
	m := modules{}
	for name, b := range files {
		if base, ok := strings.CutSuffix(path.Base(name), ".ko"); ok {
			m[moduleName(base)] = b
		}
	}
	return m
}

// names gives the modules in the order of their names.
func (m modules) names() iter.Seq[string] { return slices.Values(slices.Sorted(maps.Keys(m))) }

func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// order lists the wanted modules and all they depend on, each after what it
// needs: loaded in this order by insmod, none lacks a symbol. virtio before
// virtio_ring, for one, fails. A wanted module the kernel has not is an error.
func (m modules) order(wanted ...string) ([]string, error) {
	var list []string
	done := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if done[name] {
			return nil
		}
		done[name] = true
		b, ok := m[name]
		if !ok {
			return fmt.Errorf("the kernel has no module %s", name)
		}
		needs, err := dependsOn(b)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		for _, n := range needs {
			if err := visit(n); err != nil {
				return err
			}
		}
		list = append(list, name)
		return nil
	}
	for _, w := range wanted {
		if err := visit(moduleName(w)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// dependsOn reads what a module needs from its section .modinfo.
func dependsOn(ko []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(ko))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("no section .modinfo")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	var needs []string
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			for n := range strings.SplitSeq(list, ",") {
				needs = append(needs, moduleName(n))
			}
		}
	}
	return needs, nil
}
