package fake

import (
	"testing"

	"hearth/internal/driver/network"
	"hearth/internal/driver/network/networktest"
)

func TestDriver(t *testing.T) {
	networktest.Run(t, func(*testing.T) network.Driver { return New() })
}
