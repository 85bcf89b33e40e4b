#!/bin/bash
# Runs one script inside a tree that is made of layers, and leaves the tree as an archive. hearth's oven starts it in
# namespaces of its own: inside.sh WORK TAR-OPTION MOUNTS LAYER...  WORK has gone.N, what layer N removes, and the
# folder job. MOUNTS is a file with lines HOST-FOLDER FOLDER-INSIDE.
set -euo pipefail
umask 022 # what is made in the tree does not depend on who bakes
work=$1 owners=$2 mounts=$3
shift 3
root=$work/inside
mounted=()
# What is mounted must be off before anything is removed: caches of the host are among it.
leave() { for m in "${mounted[@]}"; do umount -l "$m" || exit 1; done; mounted=(); }
trap 'leave; rm -rf --one-file-system "$root"' EXIT
mkdir "$root"
n=0
for layer; do
	(cd "$root" && xargs -0 -r rm -rf -- <"$work/gone.$n")
	zstd -dcq -- "$layer" | tar -x -C "$root" -f - --xattrs --xattrs-include=security.capability --xattrs-include="user.*" --numeric-owner -p --keep-directory-symlink "$owners"
	n=$((n + 1))
done
mkdir -p "$root"/{dev,proc,run,tmp,etc}
mount -t tmpfs -o mode=755 hearth "$root/dev"; mounted=("$root/dev" "${mounted[@]}")
for d in null zero full random urandom tty; do
	: >"$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; mounted=("$root/dev/$d" "${mounted[@]}")
done
mkdir "$root"/dev/{shm,pts}
for l in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "/proc/self/${l#*:}" "$root/dev/${l%%:*}"; done
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
mounted=("$root/proc" "${mounted[@]}")
mount -t tmpfs -o mode=755 hearth "$root/run"; mounted=("$root/run" "${mounted[@]}")
mount -t tmpfs -o mode=1777 hearth "$root/tmp"; mounted=("$root/tmp" "${mounted[@]}")
cp -r "$work/job" "$root/run/hearth"
while read -r from to; do
	mkdir -p "$root$to"; mount --bind "$from" "$root$to"; mounted=("$root$to" "${mounted[@]}")
done <"$mounts"
resolv=$root/etc/.hearth-resolv.conf
if [ -e "$work/job/network" ]; then
	[ ! -e "$root/etc/resolv.conf" ] && [ ! -L "$root/etc/resolv.conf" ] || mv "$root/etc/resolv.conf" "$resolv"
	cat /etc/resolv.conf >"$root/etc/resolv.conf"
fi
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
	chroot "$root" /run/hearth/script </dev/null
if [ -e "$work/job/network" ]; then
	rm -f "$root/etc/resolv.conf"
	[ ! -e "$resolv" ] && [ ! -L "$resolv" ] || mv "$resolv" "$root/etc/resolv.conf"
fi
leave
tar -c -C "$root" --xattrs --xattrs-include=security.capability --xattrs-include='user.*' --numeric-owner --sort=name --format=posix -f "$work/out.tar" .
