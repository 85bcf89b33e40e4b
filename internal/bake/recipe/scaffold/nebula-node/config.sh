#!/bin/bash
# Run as root inside the tree, without a network, when root/ has been put over it.
test -f /.kconfig && . /.kconfig
test -f /.profile && . /.profile
echo "Configure image: [$kiwi_iname]..."

suseInsertService sshd
suseInsertService libvirtd
suseInsertService nebula-firstboot
# The bridge is the nodes' own, not libvirt's.
rm -f /etc/libvirt/qemu/networks/autostart/default.xml

# The first card is the network through which the cloud sets this guest up, the second the segment with the head.
baseUpdateSysConfig /etc/sysconfig/nebula NEBULA_INTERFACE eth1

# Disable IPv6
echo "alias net-pf-10 off" >> /etc/modprobe.d/local.conf
echo "alias ipv6 off" >> /etc/modprobe.d/local.conf
sed -i "s/#net.ipv6.conf.all.disable_ipv6 = 1/net.ipv6.conf.all.disable_ipv6 = 1/" /etc/sysctl.d/60-nebula.conf

# Debian's libvirtd is started by sockets and listens to TCP only when libvirtd-tcp.socket is enabled too. It is not: the
# administrator comes by ssh.
sed -i "s/#listen_tcp = 1/listen_tcp = 1/" /etc/libvirt/libvirtd.conf
# Guests' disks are the administrator's, on the head: nobody may change to whom they belong.
sed -i "s/#dynamic_ownership = 1/dynamic_ownership = 0/" /etc/libvirt/qemu.conf
sed -i "s/#user = \"libvirt-qemu\"/user = \"oneadmin\"/" /etc/libvirt/qemu.conf
sed -i "s/#group = \"libvirt-qemu\"/group = \"cloud\"/" /etc/libvirt/qemu.conf

# The name that OpenNebula knows QEMU by.
ln -s qemu-system-x86_64 /usr/bin/kvm 2>/dev/null || test -e /usr/bin/kvm
exit 0
