package qemu

import (
	"errors"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// UserRange is a range of user ids that belong to nobody but guests.
type UserRange struct {
	First, Count uint32
}

// DefaultUsers are from a range that systemd's list of user ids
// (https://systemd.io/UIDS-GIDS) leaves unused, or, where the user namespace has no such ids, from 64000 up.
var DefaultUsers = UserRange{First: 0x70000000, Count: 1 << 28}

var smallUsers = UserRange{First: 64000, Count: 1000}

var errNoUser = errors.New("every user id that guests may have is in use; widen the range")

// users gives each guest that starts a user id that no process has. Nothing on disk belongs to these
// ids for longer than a guest runs, so they need not be remembered.
type users struct {
	all     UserRange
	drop    bool // this process may change the user of its children
	mu      sync.Mutex
	pending map[uint32]bool // given to guests that are being started
}

func newUsers(all UserRange) *users {
	if all.Count == 0 {
		all = DefaultUsers
		if raw, err := os.ReadFile("/proc/self/uid_map"); err == nil && !mapped(string(raw), all) {
			all = smallUsers
		}
	}
	return &users{all: all, drop: os.Geteuid() == 0, pending: map[uint32]bool{}}
}

// mapped tells whether a user namespace (user_namespaces(7), uid_map) has all ids of a range.
func mapped(uidMap string, want UserRange) bool {
	for line := range strings.Lines(uidMap) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.ParseUint(f[0], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 33)
		if err1 == nil && err2 == nil && first <= uint64(want.First) && uint64(want.First)+uint64(want.Count) <= first+count {
			return true
		}
	}
	return false
}

// take finds a free id for a guest, the same one each time if it can be; release when the guest has started. 0 means that
// guests run as this process does.
func (u *users) take(guest string) (id uint32, release func(), err error) {
	if !u.drop {
		return 0, func() {}, nil
	}
	busy, err := owners()
	if err != nil {
		return 0, nil, err
	}
	hash := fnv.New32a()
	hash.Write([]byte(guest))
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.all.Count {
		id := u.all.First + (hash.Sum32()%u.all.Count+i)%u.all.Count
		if !busy[id] && !u.pending[id] {
			u.pending[id] = true
			return id, func() { u.free(id) }, nil
		}
	}
	return 0, nil, errNoUser
}

func (u *users) free(id uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.pending, id)
}

// owners lists the user ids that have a process.
func owners() (map[uint32]bool, error) {
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	ids := map[uint32]bool{}
	for _, pid := range pids {
		// A process that ended since is no owner.
		if info, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil {
			ids[info.Sys().(*syscall.Stat_t).Uid] = true
		}
	}
	return ids, nil
}

// processes lists the numbers of all processes there are.
func processes() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}
