#!/bin/bash
# boot.sh DIR CGROUP: as process 1 of new namespaces (pid, mount, network, UTS, IPC) makes a
# root of this machine's files and starts systemd in it. What is written there lands in
# DIR/upper, so that the next boot of DIR finds it; this machine's own files are only read.
# CGROUP is an empty folder of the cgroup2 hierarchy.
set -euo pipefail
if [ "${3-}" != in ]; then
    echo 0 >"$2/cgroup.procs"
    exec unshare --cgroup "$BASH" "$0" "$1" "$2" in
fi
mount --make-rprivate /
ip link set lo up
hostname tmms-host
new=0
[ -d "$1/upper" ] || new=1
mkdir -p "$1"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"

# A host that is as it was delivered: no services, disks or node of this machine.
if [ $new = 1 ]; then
    rm -rf etc/systemd/system/* etc/rc?.d/* etc/tmms etc/default/tmms var/lib/tmms var/log/journal usr/local/bin/tmms
    : >etc/fstab
    echo tmms-host >etc/hostname
    mkdir -p etc/cloud
    touch etc/cloud/cloud-init.disabled
fi

mount -t proc proc proc
# The kernel's settings are this machine's too, but for those of a network.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind /proc/sys/net proc/sys/net
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 0666 "dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 0666 dev/tty c 5 0
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p run/before
pivot_root . run/before
umount -l /run/before
exec env -i container=tmms PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/lib/systemd/systemd --show-status=false --log-target=journal-or-kmsg
