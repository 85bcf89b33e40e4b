// Package luks writes and reads disks encrypted as LUKS version 1 (the LUKS On-Disk
// Format Specification 1.2.3, https://gitlab.com/cryptsetup/cryptsetup/-/wikis/LUKS-standard/on-disk-format.pdf):
// the version that QEMU's block driver opens without a device mapper. It works on
// streams, so that any storage can hold such a disk, and no tool is told a key.
//
// Passphrases here are random keys, not words that somebody could guess: the
// derivation of keys from them is therefore cheap.
package luks

import (
	"bytes"
	"crypto/aes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/xts"

	"hearth/internal/cloud"
)

// HeaderSize is how many bytes of a disk are before its data, whatever the length of
// its key: 2 MiB, as cryptsetup has it.
const HeaderSize = 2 << 20

// sector is the unit of offsets and of encryption, in bytes.
const sector = 512

const (
	phdrSize   = 592
	slots      = 8
	stripes    = 4000
	iterations = 2000 // of a passphrase with 256 random bits; 1000 is the least that is taken
	slotActive = 0x00AC71F3
	slotFree   = 0x0000DEAD
	digestSize = 20
	saltSize   = 32

	// The most that is taken on when a header is read.
	maxIterations = 10_000_000
)

var magic = [6]byte{'L', 'U', 'K', 'S', 0xba, 0xbe}

// phdr is the header as it is on the disk, big-endian.
type phdr struct {
	Magic         [6]byte
	Version       uint16
	Cipher, Mode  [32]byte
	Hash          [32]byte
	PayloadOffset uint32 // sectors
	KeyBytes      uint32
	Digest        [digestSize]byte
	DigestSalt    [saltSize]byte
	DigestRounds  uint32
	UUID          [40]byte
	Slots         [slots]slot
}

type slot struct {
	Active, Rounds   uint32
	Salt             [saltSize]byte
	Material, Strips uint32 // Material is where the key lies, in sectors
}

// materialSectors is the room of one slot's key: whole blocks of 4 KiB.
func materialSectors(keyBytes int) int {
	return (keyBytes*stripes + 4095) / 4096 * (4096 / sector)
}

func cipherOf(key []byte) (*xts.Cipher, error) { return xts.NewCipher(aes.NewCipher, key) }

func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// format makes a header, HeaderSize bytes, and the key that the data are under.
// keyBits is 256 or 512, of AES-XTS, which is twice the key of AES.
func format(passphrase, uuid string, keyBits int) (header, master []byte, err error) {
	const op = "luks.Format"
	if keyBits != 256 && keyBits != 512 {
		return nil, nil, cloud.E(op, cloud.Invalid, "a key of %d bits is not known here: aes-xts-plain64 has 256 or 512", keyBits)
	}
	random := make([]byte, keyBits/8+2*saltSize)
	if _, err := rand.Read(random); err != nil {
		return nil, nil, err
	}
	master = random[:keyBits/8]
	h := phdr{Magic: magic, Version: 1, PayloadOffset: HeaderSize / sector, KeyBytes: uint32(len(master)), DigestRounds: iterations}
	copy(h.Cipher[:], "aes")
	copy(h.Mode[:], "xts-plain64")
	copy(h.Hash[:], "sha256")
	copy(h.UUID[:39], uuid)
	copy(h.DigestSalt[:], random[len(master):])
	digest, err := pbkdf2.Key(sha256.New, string(master), h.DigestSalt[:], iterations, digestSize)
	if err != nil {
		return nil, nil, err
	}
	copy(h.Digest[:], digest)
	for i := range h.Slots {
		h.Slots[i] = slot{Active: slotFree, Material: uint32(4096/sector + i*materialSectors(len(master))), Strips: stripes}
	}
	first := &h.Slots[0]
	first.Active, first.Rounds = slotActive, iterations
	copy(first.Salt[:], random[len(master)+saltSize:])
	material, err := split(master, sha256.New)
	if err != nil {
		return nil, nil, err
	}
	if err := crypt(passphrase, *first, sha256.New, len(master), material, (*xts.Cipher).Encrypt); err != nil {
		return nil, nil, err
	}
	header = make([]byte, HeaderSize)
	if _, err := binary.Encode(header, binary.BigEndian, h); err != nil {
		return nil, nil, err
	}
	copy(header[first.Material*sector:], material)
	return header, master, nil
}

// crypt encrypts or decrypts a slot's key material, in place, by the key that a
// passphrase gives.
func crypt(passphrase string, s slot, h func() hash.Hash, keyBytes int, material []byte, do func(c *xts.Cipher, dst, src []byte, n uint64)) error {
	key, err := pbkdf2.Key(h, passphrase, s.Salt[:], int(s.Rounds), keyBytes)
	if err != nil {
		return err
	}
	c, err := cipherOf(key)
	if err != nil {
		return err
	}
	for n := 0; n < len(material); n += sector {
		part := material[n:min(n+sector, len(material))]
		do(c, part, part, uint64(n/sector))
	}
	return nil
}

// split spreads a key over many blocks, all of which are needed to get it back.
func split(key []byte, h func() hash.Hash) ([]byte, error) {
	out := make([]byte, len(key)*stripes)
	last := out[len(key)*(stripes-1):]
	if _, err := rand.Read(out[:len(key)*(stripes-1)]); err != nil {
		return nil, err
	}
	sum := gather(out, len(key), h)
	subtle.XORBytes(last, sum, key)
	return out, nil
}

// gather is what all blocks but the last come to.
func gather(material []byte, keyBytes int, h func() hash.Hash) []byte {
	sum := make([]byte, keyBytes)
	for i := range stripes - 1 {
		subtle.XORBytes(sum, sum, material[i*keyBytes:(i+1)*keyBytes])
		diffuse(sum, h())
	}
	return sum
}

// merge is split the other way.
func merge(material []byte, keyBytes int, h func() hash.Hash) []byte {
	sum := gather(material, keyBytes, h)
	subtle.XORBytes(sum, sum, material[keyBytes*(stripes-1):keyBytes*stripes])
	return sum
}

func diffuse(b []byte, h hash.Hash) {
	size := h.Size()
	for i := 0; i*size < len(b); i++ {
		part := b[i*size : min((i+1)*size, len(b))]
		h.Reset()
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(i)))
		h.Write(part)
		copy(part, h.Sum(nil))
	}
}

// hashes are those that headers name.
func hashOf(name string) func() hash.Hash {
	switch name {
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	}
	return nil
}
