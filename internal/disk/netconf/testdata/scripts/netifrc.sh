# Gentoo's netifrc, run by OpenRC, on two cards without anybody at their other end, in namespaces that end with them. Stand-ins: dhcpcd
# and resolvconf. Arguments: its source, the guest's files, a folder for work, OpenRC's files, the cards.
set -e
scripts=$1 files=$2 over=$3 openrc=$4; shift 4
mount --make-rprivate /
mount -t tmpfs over "$over"
for d in etc usr; do
  mkdir -p "$over/$d.up" "$over/$d.work"
  mount -t overlay over -o "lowerdir=/$d,upperdir=$over/$d.up,workdir=$over/$d.work" "/$d"
done
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs run /run
cp -r "$openrc/etc/." /etc/
for d in sbin bin lib; do [ ! -d "$openrc/$d" ] || cp -r "$openrc/$d/." "/usr/$d/"; done
cp -r "$openrc/usr/." /usr/
cp -r "$files/etc/." /etc/
mkdir -p /usr/lib/netifrc/net /usr/lib/netifrc/sh /run/openrc
fill() { sed -e 's,@SBINDIR@,/sbin,g; s,@LIBEXECDIR@,/usr/lib/netifrc,g; s,@PREFIX@,,g; s,@SHELL@,/bin/sh,g' "$1" >"$2"; chmod 755 "$2"; }
for f in "$scripts"/net/*.sh "$scripts"/net/*.sh.Linux.in; do n=${f##*/}; fill "$f" "/usr/lib/netifrc/net/${n%.Linux.in}"; done
for f in "$scripts"/sh/*; do n=${f##*/}; fill "$f" "/usr/lib/netifrc/sh/${n%.in}"; done
fill "$scripts/init.d/net.lo.in" /etc/init.d/net.lo
printf '#!/bin/sh\necho "dhcpcd $*"; for last; do :; done; ip link set "$last" up\n' >/usr/sbin/dhcpcd; chmod 755 /usr/sbin/dhcpcd
printf '#!/bin/sh\ncat >/etc/resolv.conf\n' >/usr/sbin/resolvconf; chmod 755 /usr/sbin/resolvconf
ip link set lo up
ip link add eth0 address 52:54:00:aa:bb:01 type veth peer name peer0; ip link set peer0 up
ip link add back address 52:54:00:aa:bb:02 type veth peer name peer1; ip link set peer1 up
mkdir -p /run/openrc/{started,starting,options,exclusive,daemons,inactive,stopping,failed,hotplugged,scheduled,wasinactive,init.d,tmp}
echo default >/run/openrc/softlevel
for c in "$@"; do ln -sf net.lo /etc/init.d/net.$c; /usr/sbin/openrc-run /etc/init.d/net.$c --nodeps start || echo "FAILED $c"; done
ip addr; ip route; ip -6 route; cat /etc/resolv.conf
