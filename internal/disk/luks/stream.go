package luks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"crypto/pbkdf2"
	"crypto/subtle"

	"golang.org/x/crypto/xts"

	"hearth/internal/cloud"
)

// chunk is how much is encrypted at a time, in bytes.
const chunk = 64 << 10

// Format gives a disk that is encrypted under a passphrase: its header, and after it
// what src has, filled up to whole sectors of 512 bytes. What of the disk is after
// that is whatever is there: it reads as noise. keyBits is 256 or 512, for
// aes-xts-plain64; uuid is the disk's. Invalid.
func Format(passphrase, uuid string, keyBits int, src io.Reader) (io.Reader, error) {
	header, master, err := format(passphrase, uuid, keyBits)
	if err != nil {
		return nil, err
	}
	c, err := cipherOf(master)
	if err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader(header), &encrypter{src: src, cipher: c, buf: make([]byte, chunk)}), nil
}

// encrypter is the data of a disk, read in the clear and given encrypted.
type encrypter struct {
	src    io.Reader
	cipher *xts.Cipher
	next   uint64 // sector
	buf    []byte
	ready  []byte // of buf
	err    error
}

// Read implements io.Reader.
func (e *encrypter) Read(p []byte) (int, error) {
	for len(e.ready) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		n, err := io.ReadFull(e.src, e.buf)
		if e.err = err; errors.Is(err, io.ErrUnexpectedEOF) {
			e.err = io.EOF
		}
		whole := (n + sector - 1) / sector * sector
		clear(e.buf[n:whole])
		for at := 0; at < whole; at += sector {
			e.cipher.Encrypt(e.buf[at:at+sector], e.buf[at:at+sector], e.next)
			e.next++
		}
		e.ready = e.buf[:whole]
	}
	n := copy(p, e.ready)
	e.ready = e.ready[n:]
	return n, nil
}

// Is tells whether a disk begins as one of LUKS does, of whatever version.
func Is(disk []byte) bool { return bytes.HasPrefix(disk, magic[:]) }

// Disk is an encrypted disk that was opened.
type Disk struct {
	src    io.ReaderAt
	cipher *xts.Cipher
	offset int64
}

// Open opens an encrypted disk. Invalid when it is none of LUKS 1 with AES-XTS, or
// when the passphrase is not its.
func Open(src io.ReaderAt, passphrase string) (*Disk, error) {
	const op = "luks.Open"
	h, err := readHeader(src)
	if err != nil {
		return nil, err
	}
	sum := hashOf(text(h.Hash[:]))
	for _, s := range h.Slots {
		if s.Active != slotActive {
			continue
		}
		material := make([]byte, int(h.KeyBytes)*stripes)
		if _, err := src.ReadAt(material, int64(s.Material)*sector); err != nil {
			return nil, cloud.E(op, cloud.Invalid, "the disk ends within its keys: %w", err)
		}
		if err := crypt(passphrase, s, sum, int(h.KeyBytes), material, (*xts.Cipher).Decrypt); err != nil {
			return nil, err
		}
		master := merge(material, int(h.KeyBytes), sum)
		digest, err := pbkdf2.Key(sum, string(master), h.DigestSalt[:], int(h.DigestRounds), digestSize)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(digest, h.Digest[:]) == 1 {
			c, err := cipherOf(master)
			return &Disk{src, c, int64(h.PayloadOffset) * sector}, err
		}
	}
	return nil, cloud.E(op, cloud.Invalid, "the key does not open the disk")
}

// readHeader reads a header and checks all that is counted by.
func readHeader(src io.ReaderAt) (h phdr, err error) {
	const op = "luks.Open"
	bad := func(format string, args ...any) (phdr, error) { return h, cloud.E(op, cloud.Invalid, format, args...) }
	raw := make([]byte, phdrSize)
	if _, err := src.ReadAt(raw, 0); err != nil {
		return bad("no header of LUKS can be read: %w", err)
	}
	if _, err := binary.Decode(raw, binary.BigEndian, &h); err != nil {
		return bad("no header of LUKS: %w", err)
	}
	switch {
	case h.Magic != magic:
		return bad("the disk is not encrypted by LUKS")
	case h.Version != 1:
		return bad("the disk is of LUKS version %d; version 1 is known here", h.Version)
	case text(h.Cipher[:]) != "aes" || text(h.Mode[:]) != "xts-plain64" || hashOf(text(h.Hash[:])) == nil:
		return bad("the disk is encrypted by %q-%q with %q; aes-xts-plain64 with sha1 or sha256 is known here", text(h.Cipher[:]), text(h.Mode[:]), text(h.Hash[:]))
	case h.KeyBytes != 32 && h.KeyBytes != 64:
		return bad("the disk's key has %d bytes, not 32 or 64", h.KeyBytes)
	case h.DigestRounds == 0 || h.DigestRounds > maxIterations:
		return bad("the header asks for %d rounds", h.DigestRounds)
	}
	for i, s := range h.Slots {
		if s.Active == slotActive && (s.Strips != stripes || s.Rounds == 0 || s.Rounds > maxIterations || s.Material < 2) {
			return bad("the key slot %d is malformed", i)
		}
	}
	return h, nil
}

// ReadAt gives the data in the clear; off is a multiple of 512, and so is what is
// read but at the end.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off%sector != 0 || len(p)%sector != 0 {
		return 0, cloud.E("luks.ReadAt", cloud.Invalid, "%d bytes at %d are no whole sectors", len(p), off)
	}
	n, err := d.src.ReadAt(p, d.offset+off)
	n -= n % sector
	for at := 0; at < n; at += sector {
		d.cipher.Decrypt(p[at:at+sector], p[at:at+sector], uint64(off+int64(at))/sector)
	}
	return n, err
}
