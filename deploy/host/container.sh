#!/bin/bash
# container.sh IMAGE DIR HOSTNAME [SOURCE:TARGET[:ro]]... -- COMMAND...: does as process 1
# of new namespaces (pid, mount, network, UTS, IPC) what a container engine does with
# compose.yaml's read_only, cap_drop and no-new-privileges, and becomes the command, as
# the image's user. DIR is an empty folder for the places that things are mounted on.
set -euo pipefail
image=$1 root=$2/root
hostname "$3"
mount --make-rprivate /
mkdir -p "$2"/{upper,work,root}
mount -t overlay -o "lowerdir=$image,upperdir=$2/upper,workdir=$2/work" overlay "$root"
shift 3
mkdir -p "$root"/{proc,sys,dev}
mounts=()
while [ "$1" != -- ]; do
    IFS=: read -r source target mode <<<"$1"
    mkdir -p "$(dirname "$root$target")"
    if [ -d "$source" ]; then mkdir -p "$root$target"; else : >>"$root$target"; fi
    mounts+=("$source" "$target" "${mode:-rw}")
    shift
done
shift
mount -o remount,ro "$root"
for ((i = 0; i < ${#mounts[@]}; i += 3)); do
    mount --bind "${mounts[i]}" "$root${mounts[i + 1]}"
    [ "${mounts[i + 2]}" = rw ] || mount -o remount,bind,ro "$root${mounts[i + 1]}"
done
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 0666 "$root/dev/${node%:*}" c 1 "${node#*:}"
done
ip link set lo up
exec setpriv --no-new-privs unshare --root="$root" --wd=/ --setgid=65532 --setuid=65532 "$@"
