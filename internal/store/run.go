package store

// run is the engine side of a transaction.
type run struct{}
