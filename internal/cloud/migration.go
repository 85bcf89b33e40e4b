package cloud

import "time"

// The kinds and the statuses of a migration as nova's API shows them. Hearth
// makes those of resizes.
const (
	MigrationResize = "resize"

	MigrationMigrating = "migrating"
	MigrationFinished  = "finished" // the resize waits to be confirmed or reverted
	MigrationConfirmed = "confirmed"
	MigrationReverted  = "reverted"
	MigrationError     = "error"
)

// Migration is a server's way to another host or another size. Its status is
// computed while it is open: see Server.MigrationStatus.
type Migration struct {
	ID, ServerID         string // ID is its UUID
	Number               int64  // its id before there were UUIDs
	ProjectID, UserID    string
	Kind                 string
	SourceHost, DestHost string
	OldFlavor, NewFlavor string // ids
	Outcome              string // confirmed, reverted; "" while it is open
	CreatedAt, UpdatedAt time.Time
}

// MigrationStatus is how an open migration of the server stands.
func (s Server) MigrationStatus() string {
	switch s.VMState() {
	case VMError:
		return MigrationError
	case VMResized:
		return MigrationFinished
	}
	return MigrationMigrating
}
