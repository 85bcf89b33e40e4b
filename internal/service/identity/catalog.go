package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Endpoint is a service of this cloud's own. Its address is that of the cloud, as
// the client reached it, and the path.
type Endpoint struct {
	Type string // such as "compute"
	Name string // such as "nova"
	Path string // such as "/compute/v2.1"
}

// Interfaces are those that an endpoint can be of.
var Interfaces = []string{"public", "internal", "admin"}

// Region is the name of the region that this cloud's own services are in.
func (s *Service) Region() string { return s.opts.Region }

// Entry is a service of the catalog with its endpoints.
type Entry struct {
	Service   cloud.CatalogService
	Endpoints []cloud.CatalogEndpoint
}

// Catalog lists the enabled services with their enabled endpoints, by type, as a
// project sees them: what is linked to it, or everything if nothing is. A service
// without endpoints is there too.
func (s *Service) Catalog(ctx context.Context, projectID string) (out []Entry, err error) {
	err = s.view(ctx, func(tx *store.Tx) error {
		services, err := tx.CatalogServices.List(store.Query{Order: []store.Order{{Column: "type"}, {Column: "name"}}})
		if err != nil {
			return err
		}
		ends, err := visible(tx, projectID)
		if err != nil {
			return err
		}
		out = nil
		for _, svc := range services {
			if !svc.Enabled {
				continue
			}
			e := Entry{Service: svc}
			for _, end := range ends {
				if end.ServiceID == svc.ID && end.Enabled {
					e.Endpoints = append(e.Endpoints, end)
				}
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// madeID is the id of what comes from the configuration: always the same for the
// same thing.
func madeID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// seededSetting names the setting with the ids of what was once made of the
// configuration: what the operator deleted since does not come back.
const seededSetting = "identity.seeded"

// seeder makes rows of the configuration, each once.
type seeder struct {
	tx   *store.Tx
	done []string
	err  error
}

// once makes a row, unless it was made before.
func (s *seeder) once(id string, insert func() error) {
	if s.err != nil || slices.Contains(s.done, id) {
		return
	}
	s.done = append(s.done, id)
	if err := insert(); err != nil && !cloud.Is(err, cloud.Conflict) {
		s.err = err
	}
}

// seed makes the region, the services and the rules of implied roles.
func (s *Service) seed(tx *store.Tx, r Result) error {
	sd := &seeder{tx: tx}
	setting, err := tx.Settings.Get(seededSetting)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal([]byte(setting.Value), &sd.done); err != nil {
			return cloud.E("identity.seed", cloud.Internal, "the setting %s is broken: %w", seededSetting, err)
		}
	}
	before := len(sd.done)
	for _, rule := range []cloud.ImpliedRole{{PriorID: r.AdminRoleID, ImpliedID: r.MemberRoleID}, {PriorID: r.MemberRoleID, ImpliedID: r.ReaderRoleID}} {
		sd.once(madeID("implied", rule.Key()), func() error { return tx.ImpliedRoles.Put(rule) })
	}
	sd.once(madeID("region", s.opts.Region), func() error { return tx.Regions.Insert(cloud.Region{ID: s.opts.Region}) })
	for _, e := range s.opts.Services {
		s.seedService(sd, e)
	}
	if sd.err != nil || len(sd.done) == before {
		return sd.err
	}
	value, err := json.Marshal(sd.done)
	if err != nil {
		return err
	}
	return tx.Settings.Put(store.Setting{Name: seededSetting, Value: string(value)})
}

func (s *Service) seedService(sd *seeder, e Endpoint) {
	id := madeID("service", e.Type, e.Name)
	sd.once(id, func() error {
		return sd.tx.CatalogServices.Insert(cloud.CatalogService{ID: id, Type: e.Type, Name: e.Name, Enabled: true})
	})
	if _, err := sd.tx.CatalogServices.Get(id); err != nil {
		return // deleted since
	}
	for _, face := range Interfaces {
		end := cloud.CatalogEndpoint{ID: madeID("endpoint", id, face), ServiceID: id, Interface: face, RegionID: s.opts.Region, URL: e.Path, Enabled: true}
		sd.once(end.ID, func() error { return sd.tx.CatalogEndpoints.Insert(end) })
		sd.follow(end)
	}
}

// follow brings an endpoint that is still the configuration's own, which its
// relative URL tells, to the path and the region that the configuration has now.
func (s *seeder) follow(want cloud.CatalogEndpoint) {
	is, err := s.tx.CatalogEndpoints.Get(want.ID)
	if s.err != nil || err != nil || !strings.HasPrefix(is.URL, "/") || is.URL == want.URL && is.RegionID == want.RegionID {
		return
	}
	is.URL, is.RegionID = want.URL, want.RegionID
	s.err = s.tx.CatalogEndpoints.Update(is)
}
