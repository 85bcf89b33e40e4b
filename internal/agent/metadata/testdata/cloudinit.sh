# cloud-init itself on the files of a config drive, in namespaces that end with it, above a copy of this machine's files that nothing is
# written through to. What follows its stages is what the guest would have. Arguments: cloud-init's files, the config drive's, a folder for work.
set -e
cloudinit=$1 drive=$2 over=$3
mount --make-rprivate /
mount -t tmpfs over "$over"
mkdir "$over/root" "$over/up" "$over/work" "$over/low"
mount --bind / "$over/low"
mount -t overlay over -o "lowerdir=$over/low,upperdir=$over/up,workdir=$over/work" "$over/root"
root=$over/root
rm -rf "$root/var/lib/cloud" "$root/etc/cloud" "$root/etc/resolv.conf" "$root/etc/sudoers.d/90-cloud-init-users"
for d in etc usr lib; do [ ! -d "$cloudinit/$d" ] || cp -r "$cloudinit/$d/." "$root/$d/"; done
mkdir -p "$root/var/lib/cloud/seed/config_drive" "$root/etc/sudoers.d" "$root/srv" "$root/run"
cp -r "$drive/." "$root/var/lib/cloud/seed/config_drive/"
printf 'datasource_list: [ConfigDrive]\nlocale: C.UTF-8\n' >"$root/etc/cloud/cloud.cfg.d/99-test.cfg"
: >"$root/etc/fstab"; printf '#!/bin/sh\nexit 0\n' >"$root/usr/bin/systemctl"
mount -t tmpfs dev "$root/dev"
for n in null zero full random urandom; do : >"$root/dev/$n"; mount --bind "/dev/$n" "$root/dev/$n"; done
mount -t proc proc "$root/proc"; mount -t sysfs -o ro sysfs "$root/sys"; mount -t tmpfs run "$root/run"; mount -t tmpfs tmp "$root/tmp"
chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C bash -c '
cloud-init init --local || echo "FAILED local"
cloud-init init || echo "FAILED init"
cloud-init modules --mode=config || echo "FAILED config"
/usr/bin/python3 -c "import json; print(json.load(open(\"/var/lib/cloud/seed/config_drive/openstack/latest/vendor_data.json\"))[\"cloud-init\"])" >/run/vendor.yaml
cloud-init schema --annotate --config-file /run/vendor.yaml || echo "FAILED schema"
for f in /run/cloud-init/status.json /etc/hostname /etc/fstab /etc/sudoers.d/90-cloud-init-users /root/.ssh/authorized_keys; do echo "== $f"; cat $f; done
grep PasswordAuthentication /etc/ssh/sshd_config
echo "== ops"; id ops; getent passwd ops; passwd -S ops; cat /home/ops/.ssh/authorized_keys
grep -E "WARNING|ERROR|Traceback" /var/log/cloud-init.log || true
'
