#!/bin/bash
# Run as root inside the tree, without a network, when root/ has been put over it.
test -f /.kconfig && . /.kconfig
test -f /.profile && . /.profile
echo "Configure image: [$kiwi_iname]..."

suseInsertService sshd

# Disable IPv6
echo "alias net-pf-10 off" >> /etc/modprobe.d/local.conf
echo "alias ipv6 off" >> /etc/modprobe.d/local.conf
sed -i "s/#net.ipv6.conf.all.disable_ipv6 = 1/net.ipv6.conf.all.disable_ipv6 = 1/" /etc/sysctl.d/60-nebula.conf

# On the nebula's segment leases are taken of its head only, which has the option of this number.
# Not in dhclient.conf: a card that is named there is configured by each dhclient, the first card's too.
cat >/etc/dhcp/nebula.conf <<END
option nebula-head code 239 = ip-address;
also request nebula-head;
also require nebula-head;
send host-name = gethostname();
retry 30;
END
exit 0
