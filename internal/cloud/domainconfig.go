package cloud

// DomainConfig is what a domain wants of its own of the identity service's
// configuration: options by group. It is kept and shown; nothing here reads a
// directory of users elsewhere.
type DomainConfig struct {
	DomainID string
	Groups   map[string]map[string]any
}
