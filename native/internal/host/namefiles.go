package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// resolvConf names the agent's resolver, which answers on every address.
	resolvConf = "nameserver 198.18.0.2\n"
	hostsFile  = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	partName   = ".stacyvm-part"
)

// writeNameFiles makes the sandbox ask our resolver, whatever its image has in the place of resolv.conf, and know localhost.
// Nothing has run inside yet, but the image is anybody's: no link of it is followed, and a link is replaced.
func writeNameFiles(root string, owner int) error {
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	if err := unix.Mkdirat(top, "etc", 0o755); err == nil {
		if err := unix.Fchownat(top, "etc", owner, owner, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	} else if err != unix.EEXIST {
		return err
	}
	etc, err := unix.Openat(top, "etc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ELOOP || err == unix.ENOTDIR {
		return nil // an image without a directory there has no use for the files either
	}
	if err != nil {
		return err
	}
	defer unix.Close(etc)
	if err := replaceAt(etc, "resolv.conf", resolvConf, owner); err != nil {
		return fmt.Errorf("write the image's /etc/resolv.conf: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(etc, "hosts", &st, unix.AT_SYMLINK_NOFOLLOW); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replaceAt(etc, "hosts", hostsFile, owner)
}

func replaceAt(directory int, name, content string, owner int) error {
	_ = unix.Unlinkat(directory, partName, 0)
	fd, err := unix.Openat(directory, partName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	if err := errors.Join(file.Chown(owner, owner), file.Chmod(0o644)); err != nil {
		return err
	}
	if _, err := file.WriteString(content); err != nil {
		return err
	}
	return unix.Renameat(directory, partName, directory, name)
}
