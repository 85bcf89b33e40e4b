# The ifup of busybox on two cards without anybody at their other end, in namespaces that end with it. Stand-in: udhcpc. Arguments: the
# guest's files, the cards.
set -e
files=$1; shift
mount --make-rprivate /
mount -t tmpfs run /run
mkdir -p /run/bin
for t in ifup ifdown run-parts start-stop-daemon; do ln -s "$(command -v busybox)" /run/bin/$t; done
printf '#!/bin/sh\necho "udhcpc $*"\n' >/run/bin/udhcpc; chmod 755 /run/bin/udhcpc
export PATH=/run/bin:$PATH
ip link add eth0 address 52:54:00:aa:bb:01 type veth peer name peer0; ip link set peer0 up
ip link add back address 52:54:00:aa:bb:02 type veth peer name peer1; ip link set peer1 up
for c in "$@"; do ifup -v -i "$files/etc/network/interfaces" "$c" || echo "FAILED $c"; done
ip addr; ip route; ip -6 route
