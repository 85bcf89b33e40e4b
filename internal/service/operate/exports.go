package operate

import (
	"context"
	"fmt"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/store"
)

// exportsOn compares what a node gives of its volumes with the servers that have them.
func (s *Service) exportsOn(ctx context.Context, n node.Node, name string) (found []string, err error) {
	given, err := n.Exports(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range given {
		if e.Error != "" {
			found = append(found, fmt.Sprintf("node %s cannot give the disk %s to other nodes now: %s", name, e.Disk, e.Error))
		}
		id, _ := cloud.VolumeOf(e.Disk)
		used := false
		err := s.store.View(ctx, func(tx *store.Tx) error {
			uses, err := usesOf(tx, "volume_id", id)
			for _, u := range uses {
				server, serr := tx.Servers.Get(u.ServerID)
				used = used || serr == nil && u.Plug && server.Node != name && server.Node != ""
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if !used {
			found = append(found, fmt.Sprintf("node %s gives the disk %s to other nodes, where no server has it", name, e.Disk))
		}
	}
	return found, nil
}
