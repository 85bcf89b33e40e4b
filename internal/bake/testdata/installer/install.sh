# Run by the installer's preseed: see preseed.cfg beside it.
from=http://10.0.2.2:@PORT@ modules="@MODULES@"
echo "installer: $(uname -r)"
for m in $modules; do
	echo "fetch ${m##*/}"
	wget -q -O /tmp/m.udeb "$m"
	udpkg --unpack /tmp/m.udeb
done
depmod -a
modprobe virtio_blk
modprobe ext4
echo "partition /dev/vda"
{ dd if=/dev/zero bs=446 count=1; printf '\200\0\0\0\203\0\0\0\000\010\000\000\000\370\177\000'; dd if=/dev/zero bs=48 count=1; printf '\125\252'; } 2>/dev/null | dd of=/dev/vda 2>/dev/null
sync
udevadm settle || true
[ -b /dev/vda1 ] || blockdev --rereadpt /dev/vda
udevadm settle || true
mkdir -p /tools /target
wget -q -O - $from/tools.tar.gz | gunzip -c | tar -x -C /tools -f -
LD_LIBRARY_PATH=/tools/lib MKE2FS_CONFIG=/tools/mke2fs.conf /tools/mke2fs -q -F -t ext4 -O ^metadata_csum_seed,^orphan_file /dev/vda1
uuid=$(blkid -s UUID -o value /dev/vda1)
mount -t ext4 /dev/vda1 /target
echo "fetch and unpack the system"
wget -q -O - $from/system.tar.gz | gunzip -c | tar -x -C /target -f -
echo "UUID=$uuid / ext4 errors=remount-ro 0 1" >/target/etc/fstab
echo debian >/target/etc/hostname
cat >/target/etc/default/grub <<G
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
G
for d in dev proc sys; do mount -o bind /$d /target/$d; done
echo "boot loader"
chroot /target grub-install --target=i386-pc /dev/vda
chroot /target update-grub
for d in sys proc dev; do umount /target/$d; done
umount /target
sync
echo "installed"
poweroff -f
