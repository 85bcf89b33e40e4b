package fake

import (
	"testing"

	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/storagetest"
)

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Driver { return New() })
}
