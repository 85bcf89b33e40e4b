// Package osdef keeps definitions of how instances are made: the settings of
// ganeti-instance-image (https://github.com/osuosl/ganeti-instance-image, file
// defaults), read without a shell, as documents with versions.
//
// A [Definition] holds only what was said; [Definition.Resolve] lays it over the
// defaults, and the instance's own words over it, and checks every value. So one
// definition in the head is what all nodes work by, and a default that changes is
// no change of a definition.
package osdef
