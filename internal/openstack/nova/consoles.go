package nova

import "hearth/internal/openstack/wire"

func (a *api) verbRoutes() []wire.Route { return nil }
