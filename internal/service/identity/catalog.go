package identity

// Endpoint is a service of the catalog. Its address is that of the cloud, as the
// client reached it, and the path.
type Endpoint struct {
	Type string // such as "compute"
	Name string // such as "nova"
	Path string // such as "/compute/v2.1"
}

// Catalog lists the services that the cloud has, in the order that they were
// given in.
func (s *Service) Catalog() []Endpoint { return s.opts.Services }

// Region is the name of the one region.
func (s *Service) Region() string { return s.opts.Region }
