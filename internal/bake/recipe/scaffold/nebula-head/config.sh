#!/bin/bash
# Run as root inside the tree, without a network, when root/ has been put over it.
test -f /.kconfig && . /.kconfig
test -f /.profile && . /.profile
echo "Configure image: [$kiwi_iname]..."

# The administrator of the cloud, whom OpenNebula's own package would bring. The numbers must be free on the nodes too.
groupadd -g 9869 cloud
useradd -u 9869 -g cloud -d /var/lib/one -m -s /bin/bash oneadmin

# The services wait for the first boot's answers.
for unit in nebula-info nebula-registrar; do
	sed -i 's/\[Unit\]/[Unit]\nAfter=nebula-firstboot.service\nRequisite=nebula-firstboot.service/' /etc/systemd/system/$unit.service
done
suseInsertService nfsserver
suseInsertService sshd
suseInsertService rpcbind
suseInsertService dhcpd
suseInsertService nebula-firstboot
suseInsertService nebula-info
suseInsertService nebula-registrar

baseUpdateSysConfig /etc/sysconfig/firstboot FIRSTBOOT_WELCOME_DIR /usr/share/nebula
baseUpdateSysConfig /etc/default/isc-dhcp-server INTERFACESv4 br0

# Disable IPv6
echo "alias net-pf-10 off" >> /etc/modprobe.d/local.conf
echo "alias ipv6 off" >> /etc/modprobe.d/local.conf
sed -i "s/#net.ipv6.conf.all.disable_ipv6 = 1/net.ipv6.conf.all.disable_ipv6 = 1/" /etc/sysctl.d/60-nebula.conf

# Where OpenNebula keeps its authentication file.
mkdir /var/lib/one/.one
chown oneadmin:cloud /var/lib/one/.one
exit 0
