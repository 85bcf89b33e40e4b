// Package cloud is the deed of the house: every noun of the cloud, its states
// and legal transitions, the specifications that nodes are given, and the kinds
// of error. Every room may import it; it imports the standard library only.
//
// The nouns are plain data. What a request means is in service, how it is kept
// in store, how it is said on the wire in openstack.
package cloud
