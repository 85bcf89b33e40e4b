// Package placement is the service of resources: who has how much of what, and
// who claimed it. Every host is a resource provider, and every server a consumer,
// without rows of their own: what they have and take is counted from them. Rows
// there are of what clients wrote beside that. The scheduler plans with the same
// snapshot that the service answers from (FleetTx).
package placement
