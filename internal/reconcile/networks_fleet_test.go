package reconcile

import (
	"context"
	"testing"

	"hearth/internal/cloud"
)

// hangingNode hangs when it is asked what it serves, until the test ends.
type hangingNode struct {
	scriptedNode
	asked chan struct{}
}

func (n *hangingNode) Networks(ctx context.Context) (cloud.NetworkStatus, error) {
	close(n.asked)
	<-ctx.Done()
	return cloud.NetworkStatus{}, ctx.Err()
}

func TestANodeThatHangsDelaysNoOther(t *testing.T) {
	w := newWorld(t)
	hangs := &hangingNode{asked: make(chan struct{})}
	w.Fleet.Join("node-0", hangs)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.SyncNodes(ctx) }()
	<-hangs.asked
	w.want("a", 512)
	w.step()
	if len(w.node.specs) != 1 || len(w.node.networks) != 1 {
		t.Errorf("with another node hanging, %d instances and %d networks were applied", len(w.node.specs), len(w.node.networks))
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("nobody said that a node hangs")
	}
}

func TestANodeThatComesBackIsGivenAllAgain(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	back := &scriptedNode{status: w.node.status, instances: map[string]cloud.InstanceStatus{}}
	w.Fleet.Join("node-1", back)
	if err := w.SyncNode(t.Context(), "node-1"); err != nil || len(back.networks) != 1 {
		t.Errorf("%v, %d networks", err, len(back.networks))
	}
}
