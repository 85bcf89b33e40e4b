// Package recipe is what `hearth bake run` reads: a YAML file that says what an
// image is made of. It knows the words and holds them against each other; it makes
// nothing. Every complaint names the line.
//
// A recipe has one base and, put over it in this order, packages, a kernel, the
// system's settings (users, services, agent, network, console), overlays and
// scripts. docs/recipes.md has all fields with examples.
package recipe
