# RedHat's network-scripts on two cards without anybody at their other end, in namespaces that end with them. Stand-ins: arping (nobody
# else has the address), dhclient (tells how it was called), ipcalc (RedHat's, which Debian's namesake is not). Arguments: their source, the
# guest's files, a folder for work, the cards.
set -e
scripts=$1 files=$2 over=$3; shift 3
mount --make-rprivate /
mount -t tmpfs over "$over"
for d in etc usr; do
  mkdir -p "$over/$d.up" "$over/$d.work"
  mount -t overlay over -o "lowerdir=/$d,upperdir=$over/$d.up,workdir=$over/$d.work" "/$d"
done
mount -t sysfs -o ro sysfs /sys
mkdir -p /etc/sysconfig /etc/init.d
cp "$scripts/etc/rc.d/init.d/functions" /etc/init.d/functions
cp -r "$scripts/network-scripts" /etc/sysconfig/network-scripts
chmod -R u+x /etc/sysconfig/network-scripts
cp -r "$files/etc/." /etc/
stand() { cat >"$1"; chmod 755 "$1"; }
stand /usr/sbin/arping <<<'exit 0'
stand /usr/sbin/dhclient <<<'#!/bin/sh
echo "dhclient $*"'
stand /usr/bin/ipcalc <<'P'
#!/usr/bin/python3
import sys, ipaddress
flags = [a for a in sys.argv[1:] if a.startswith("-")]
words = [a for a in sys.argv[1:] if not a.startswith("-")]
if words[0].endswith("/"): words[0] = words[0][:-1]
net = ipaddress.ip_interface("/".join(words) if len(words) > 1 else words[0]).network
say = {"--prefix": "PREFIX=%d" % net.prefixlen, "-p": "PREFIX=%d" % net.prefixlen, "--netmask": "NETMASK=%s" % net.netmask, "--network": "NETWORK=%s" % net.network_address, "--broadcast": "BROADCAST=%s" % net.broadcast_address}
for f in flags:
    if f in say: print(say[f])
P
sed -i '1i #!/bin/sh' /usr/sbin/arping
ip link set lo up
ip link add eth0 address 52:54:00:aa:bb:01 type veth peer name peer0; ip link set peer0 up
ip link add back address 52:54:00:aa:bb:02 type veth peer name peer1; ip link set peer1 up
for c in "$@"; do /etc/sysconfig/network-scripts/ifup "$c" boot || echo "FAILED $c"; done
ip addr; ip route; ip -6 route; cat /etc/resolv.conf
