package cloud

import "time"

// Flavor is a size of servers. RootGB 0 means the image's own size.
type Flavor struct {
	ID, Name, Description string
	VCPUs, MemoryMB       int
	RootGB, EphemeralGB   int
	SwapMB                int
	RxTxFactor            float64
	Public, Disabled      bool
	ExtraSpecs            map[string]string
	Projects              []string // who sees a flavor that is not public
	CreatedAt             time.Time
}

// Keypair is a user's ssh (or x509) public key.
type Keypair struct {
	UserID, Name, Type     string // Type is ssh or x509
	PublicKey, Fingerprint string // Fingerprint is MD5 in colon notation, as nova's
	CreatedAt              time.Time
}

// Key is the identity of a keypair.
func (k Keypair) Key() string { return k.UserID + "/" + k.Name }

// ClassicFlavors are the sizes people expect to find, by OpenStack's old
// numbers: id, name, memory MB, root GB, VCPUs.
func ClassicFlavors() []Flavor {
	mk := func(id, name string, mem, root, vcpus int) Flavor {
		return Flavor{ID: id, Name: name, MemoryMB: mem, RootGB: root, VCPUs: vcpus, RxTxFactor: 1, Public: true}
	}
	return []Flavor{
		mk("1", "m1.tiny", 512, 1, 1), mk("2", "m1.small", 2048, 20, 1), mk("3", "m1.medium", 4096, 40, 2),
		mk("4", "m1.large", 8192, 80, 4), mk("5", "m1.xlarge", 16384, 160, 8), mk("42", "m1.nano", 192, 1, 1),
	}
}
