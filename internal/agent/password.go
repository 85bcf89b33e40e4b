package agent

import (
	"context"

	"hearth/internal/cloud"
)

// Password gives the encrypted password that an instance's guest posted to its
// metadata service; "" for none. NotFound for an instance that is not here.
func (a *Agent) Password(_ context.Context, id string) (string, error) {
	if err := a.here("agent.Password", id); err != nil {
		return "", err
	}
	return a.networks.Password(id), nil
}

// ForgetPassword drops it, so that the guest may post another.
func (a *Agent) ForgetPassword(_ context.Context, id string) error {
	if err := a.here("agent.ForgetPassword", id); err != nil {
		return err
	}
	return a.networks.Forget(id)
}

func (a *Agent) here(op, id string) error {
	if _, ok := a.find(id); !ok {
		return cloud.E(op, cloud.NotFound, "instance %s is not on this node", id)
	}
	return nil
}
