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
echo "option nebula-head code 239 = ip-address;" >> /etc/dhcp/dhclient.conf
echo 'interface "eth1" { also request nebula-head; also require nebula-head; }' >> /etc/dhcp/dhclient.conf
exit 0
