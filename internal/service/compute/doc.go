// Package compute is what requests about servers, flavors, keypairs, quotas and
// hosts mean. It checks them, writes what is wanted in one transaction, and
// returns: package reconcile places the servers and makes the nodes match.
//
// A caller sees what is its project's, an admin all; what a caller may not see
// is NotFound. Whether a role may do a thing at all, the route's policy says.
package compute
