# SUSE's wicked, its four services on a bus of their own, and netconfig, on two cards with a server of DHCP (busybox) and a router's
# advertisements at the other end of the first, in namespaces that end with them.
# Arguments: where wicked is installed, the source of sysconfig, the guest's files, a folder for work, the cards.
set -e
wicked=$1 sysconfig=$2 files=$3 over=$4; shift 4
mount --make-rprivate /
mount -t tmpfs over "$over"
for d in etc usr var/lib; do
  mkdir -p "$over/$d.up" "$over/$d.work"
  mount -t overlay over -o "lowerdir=/$d,upperdir=$over/$d.up,workdir=$over/$d.work" "/$d"
done
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs run /run
cp -r "$wicked/etc/." /etc/; cp -r "$wicked/usr/." /usr/; ldconfig
mkdir -p /usr/lib/netconfig/netconfig.d /etc/netconfig.d /var/lib/wicked /run/wicked
cp "$sysconfig/scripts/functions.netconfig" /usr/lib/netconfig/
for s in netconfig netconfig.d/dns-resolver; do sed 's,@libexec_netconfigdir@,/usr/lib/netconfig,g' "$sysconfig/scripts/$s.in" >"/usr/lib/netconfig/$s"; chmod 755 "/usr/lib/netconfig/$s"; done
mv /usr/lib/netconfig/netconfig /usr/sbin/netconfig
rm -rf /etc/sysconfig/network /etc/resolv.conf; mkdir -p /etc/sysconfig/network
printf 'NETCONFIG_MODULES_ORDER="dns-resolver"\nNETCONFIG_DNS_POLICY="auto"\nNETCONFIG_DNS_FORWARDER="resolver"\n' >/etc/sysconfig/network/config
[ ! -f "$files/etc/sysconfig/network/config" ] || mv "$files/etc/sysconfig/network/config" "$over/config"
cp -r "$files/etc/." /etc/
[ ! -f "$over/config" ] || cat "$over/config" >>/etc/sysconfig/network/config
touch /etc/SUSE-brand /etc/sysconfig/network/dhcp
ip link set lo up
ip link add eth0 address 52:54:00:aa:bb:01 type veth peer name peer0
ip link add back address 52:54:00:aa:bb:02 type veth peer name peer1; ip link set peer1 up
ip netns add other
ip link set peer0 netns other; ip link set peer1 netns other
other() { ip netns exec other "$@"; }
other ip link set lo up; other ip link set peer1 up; other ip addr add 10.77.0.1/24 dev peer0; other ip link set peer0 up
printf 'interface peer0\nstart 10.77.0.50\nend 10.77.0.60\nlease_file /run/leases\npidfile /run/udhcpd.pid\nopt router 10.77.0.1\nopt subnet 255.255.255.0\nopt dns 10.77.0.1\n' >/run/udhcpd.conf
: >/run/leases
other busybox udhcpd -f /run/udhcpd.conf 2>/run/udhcpd.log &
other python3 - <<'P' &
import socket, struct, time
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + socket.inet_pton(socket.AF_INET6, "fd77::")
while True:
    try: s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, ("ff02::1", 0, 0, socket.if_nametoindex("peer0")))
    except OSError: pass # its own address is not ready
    time.sleep(0.5)
P
mkdir /run/dbus
cat >/run/bus.conf <<'X'
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
X
dbus-daemon --config-file=/run/bus.conf --fork
for d in /usr/libexec/wicked/bin/wickedd-{auto4,dhcp4,dhcp6} /usr/sbin/wickedd /usr/sbin/wickedd-nanny; do "$d" --foreground --log-target=stderr --log-level notice & done >/run/wicked.log 2>&1
wicked --log-target=stderr show-config || echo FAILED show-config
echo "== up"
wicked --log-target=stderr ifup --timeout 20 "$@" || echo "FAILED ifup"
netconfig update -f || echo "FAILED netconfig"
timeout 10 grep -q -m1 fd77: < <(ip -6 monitor address & ip -6 addr; wait) || echo "no address by advertisements"
ip addr; ip route; ip -6 route; cat /etc/resolv.conf
cat /run/wicked.log
