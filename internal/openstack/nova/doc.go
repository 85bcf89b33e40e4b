// Package nova is the compute API in OpenStack's words: nova's v2.1 with
// microversions 2.1 to 2.93, one file per resource, one route table.
//
// Bodies are checked against JSON schemas (schemas/): one for each operation,
// with "x-min" and "x-max" where a member is of some microversions only. So what
// a client may send is data, and a handler sees only what is well formed.
package nova
