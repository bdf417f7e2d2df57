#!/bin/sh
# enter.sh ROOT COMMAND…: runs a command with ROOT as its root file system, first process of its own namespaces.
# By pivot_root rather than chroot, from within which the kernel makes no user namespaces.
set -eu
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
cd "$root"
mkdir -p before
pivot_root . before
cd /
umount -l /before
cd /root/stacyvm
exec "$@"
