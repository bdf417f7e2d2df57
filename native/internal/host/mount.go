package host

import (
	"bytes"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"
)

// mountDetached makes a mount that is attached nowhere. A parameter with an empty value is a flag.
func mountDetached(filesystem string, parameters map[string]string, attributes int) (int, error) {
	context, err := unix.Fsopen(filesystem, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(context)
	keys := make([]string, 0, len(parameters))
	for key := range parameters {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		if value := parameters[key]; value == "" {
			err = unix.FsconfigSetFlag(context, key)
		} else {
			err = unix.FsconfigSetString(context, key, value)
		}
		if err != nil {
			return -1, fmt.Errorf("%s %s: %w%s", filesystem, key, err, mountLog(context))
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, fmt.Errorf("%s: %w%s", filesystem, err, mountLog(context))
	}
	return unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attributes)
}

// mountLog returns what the kernel says about the failure.
func mountLog(context int) string {
	var all []byte
	buffer := make([]byte, 512)
	for range 8 {
		n, err := unix.Read(context, buffer)
		if err != nil || n <= 0 {
			break
		}
		all = append(all, "; "...)
		all = append(all, bytes.TrimSpace(buffer[:n])...)
	}
	return string(all)
}

func attach(mount int, path string) error {
	return unix.MoveMount(mount, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// idmappedClone returns a detached, read-only view of a tree in which root's files belong to the namespace's root.
func idmappedClone(tree string, userNamespace int) (int, error) {
	clone, err := unix.OpenTree(unix.AT_FDCWD, tree, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return -1, fmt.Errorf("open image tree: %w", err)
	}
	attributes := unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV,
		Userns_fd: uint64(userNamespace),
	}
	if err := unix.MountSetattr(clone, "", unix.AT_EMPTY_PATH, &attributes); err != nil {
		unix.Close(clone)
		if err == unix.EINVAL {
			return -1, fail(codeUnavailable, "the file system of %s cannot map owners, as tmpfs before Linux 6.3; keep images on ext4, xfs or btrfs: images.store_dir", tree)
		}
		return -1, fmt.Errorf("map the image tree's owners: %w", err)
	}
	return clone, nil
}
