// Package wire is what all the OpenStack APIs share: the route table and its
// dispatcher, policies, faults, microversions, request ids, bounded decoding,
// links, paging and filters. It knows HTTP, and nothing of any one service.
//
// An API is a table of Routes. A Handler of about 20 lines decodes, calls the
// service and returns a Response or an error; the dispatcher alone writes
// headers, bodies and faults.
package wire
