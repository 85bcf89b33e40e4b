package cloud

// AutoTopology is the network that a project asked for without saying how: with
// subnets of the default pools, behind a router to the default external network.
type AutoTopology struct{ ProjectID, NetworkID, RouterID string }
